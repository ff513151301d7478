"""Lists of concepts: tables and text files, and one message that names file, line and field."""

from __future__ import annotations

import re

import pytest

from trace_erasure import Concept, InputError
from trace_erasure.takedown.changes import add
from trace_erasure.takedown.concept_list import read_list
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.requests import requests

TABLE = """concept,kind,surrogate,synonyms,reference
fox,,dog,vixen; reynard,T-1
Mira Solberg,identity,,"Solberg, M.",T-2

ink,style,,,
owl,,,,T-1
"""


def written(tmp_path, text, name="list.csv"):
    file = tmp_path / name
    file.write_text(text, "utf-8")
    return file


def test_a_table_gives_requests_with_every_detail(tmp_path):
    fox = Concept("fox", surrogate="dog", synonyms=("vixen", "reynard"))
    found = read_list(written(tmp_path, TABLE))
    assert [(request.concepts, request.reference) for request in found] == [
        ((fox, Concept("owl")), "T-1"),  # one reference, one request
        ((Concept("Mira Solberg", kind="identity", synonyms=("Solberg, M.",)),), "T-2"),
        ((Concept("ink", kind="style"),), None),
    ]


def test_a_text_file_gives_a_request_a_line(tmp_path):
    file = written(tmp_path, "\ufefffox\n\n# from March\n  Mira   Solberg \r\n", "list.txt")
    assert [r.concepts for r in read_list(file)] == [(Concept("fox"),), (Concept("Mira Solberg"),)]


@pytest.mark.parametrize(
    "text, message",
    [
        ("concept,kind\nfox,\nowl,objekt\n", "line 3, kind: unknown concept kind 'objekt'"),
        ("concept,kind\n,object\n", "line 2, concept: it is empty"),
        ("concept,surrogate\nfox,Fox\n", "line 2, surrogate: concept and surrogate are both"),
        ("concept,retain\nfox,owl; fox\n", "line 2, retain: 'fox' is to be erased and to be"),
        ('concept,retain\n"a\nb",\nfox,fox\n', "line 4, retain: "),
        ("concept,templates\nfox,a picture\n", "line 2, templates: template 'a picture' has no"),
        ("concept,surogate\nfox,dog\n", "line 1: unknown column 'surogate'; the nearest is"),
        ("concept;kind\nfox;\n", "line 1: unknown column 'concept;kind'"),
        ("kind\nobject\n", "line 1: there is no column 'concept'"),
        ("concept,kind,kind\nfox,,\n", "line 1: the column 'kind' is there twice"),
        ("concept\nfox,dog\n", "line 2: 2 fields for 1 columns"),
        ('concept\nfox\n"owl\n', "line 3: unexpected end of data"),
        ("concept\n", "names no concept"),
        ("", "names no concept"),
    ],
    ids=lambda value: value[:20] if value.startswith(("line", "names")) else "",
)
def test_a_bad_line_is_named_with_its_field(tmp_path, text, message):
    with pytest.raises(InputError, match=r"list\.csv.*" + re.escape(message)):
        read_list(written(tmp_path, text))


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"ends in \.xlsx. Give a \.csv table or a \.txt file"):
        read_list(written(tmp_path, "fox", "list.xlsx"))
    with pytest.raises(InputError, match="there is no file"):
        read_list(tmp_path / "none.csv")


def test_a_line_at_odds_with_the_ledger_is_named_and_nothing_is_added(tmp_path):
    ledger = Ledger.create(tmp_path / "takedown.db")
    add(ledger, read_list(written(tmp_path, TABLE)))
    more = written(tmp_path, "owl\nbee\nvixen\n", "more.txt")
    with pytest.raises(InputError, match=r"more\.txt, line 1: 'owl' is in request 1 already"):
        add(ledger, read_list(more))
    more = written(tmp_path, "cat\nbee\nvixen\n", "more.txt")
    with pytest.raises(InputError, match=r"more\.txt, line 3: 'vixen' and 'fox' of request 1"):
        add(ledger, read_list(more))
    assert len(requests(ledger)) == 3
