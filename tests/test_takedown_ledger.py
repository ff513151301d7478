"""Takedown ledgers: requests in one file, whole under two processes and under kill -9."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from support import ledger_lives
from trace_erasure import Concept, InputError
from trace_erasure.takedown.changes import NewRequest, add, withdraw
from trace_erasure.takedown.concept_text import concept_of, concept_text
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.requests import active, requests
from trace_erasure.takedown.settings import Settings
from trace_erasure.takedown.standing import standings


@pytest.fixture
def ledger(tmp_path):
    return Ledger.create(tmp_path / "takedown.db", Settings(seed=3), by="legal", at="2026-01-31")


def ask(*phrases, reference=None, **details):
    return NewRequest(tuple(Concept(phrase, **details) for phrase in phrases), reference)


def changes(mode: str, ledger: Ledger) -> tuple[set[int], set[int]]:
    """Numbers that were added, and those that were withdrawn, as the processes saw it."""
    script = Path(ledger_lives.__file__)
    command = [sys.executable, str(script), mode, str(ledger.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole = re.findall(r"^(added|withdrawn) (\d+)$", done.stdout, re.MULTILINE)
    added, withdrawn = (
        {int(n) for word, n in whole if word == kind} for kind in ("added", "withdrawn")
    )
    return added, withdrawn


def is_whole(ledger: Ledger) -> bool:
    with sqlite3.connect(ledger.path) as database:
        return database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# What is stored ---------------------------------------------------------------------------


def test_a_request_keeps_who_when_and_every_detail(ledger):
    concept = Concept(
        "Mira Solberg",
        surrogate="a woman",
        kind="identity",
        synonyms=("M. Solberg",),
        descriptions=("the singer in red",),
        retain=("Ada Lind",),
    )
    asked = [NewRequest((concept, Concept("knife", only_with="clown")), "T-1")]
    assert add(ledger, asked, by="A. Smith", at="2026-02-01T12:00+02:00") == [1]
    (found,) = requests(ledger)
    assert list(found.concepts.values()) == [concept, Concept("knife", only_with="clown")]
    assert (found.reference, found.added_by) == ("T-1", "A. Smith")
    assert found.added_at == "2026-02-01T10:00:00+00:00"
    assert found.stands and ledger.settings == Settings(seed=3)

    (gone,) = withdraw(ledger, [1], by="B. Jones", at="2026-03-01", reason="settled")
    assert gone == requests(ledger)[0]
    assert not gone.stands
    assert (gone.withdrawn_by, gone.reason) == ("B. Jones", "settled")
    assert gone.withdrawn_at == "2026-03-01T00:00:00+00:00"
    assert gone.added_by == "A. Smith"  # nothing is overwritten


def test_a_concept_is_stored_without_its_defaults():
    concept = Concept("ink", kind="style", templates=("in {x}",))
    assert concept_text(concept) == '{"kind": "style", "phrase": "ink", "templates": ["in {x}"]}'
    assert concept_of(concept_text(concept)) == concept


def test_standing_concepts_do_not_depend_on_who_asked_first(ledger, tmp_path):
    other = Ledger.create(tmp_path / "other.db")
    add(ledger, [ask("owl"), ask("fox"), ask("bee")])
    add(other, [ask("bee"), ask("owl"), ask("cat"), ask("fox")])
    withdraw(other, [3])
    names = [[c.name for c in active(requests(one)).values()] for one in (ledger, other)]
    assert names == [["bee", "fox", "owl"]] * 2


def test_a_concept_of_two_requests_stands_until_both_are_withdrawn(ledger):
    add(ledger, [ask("fox", reference="T-1"), ask("fox", "owl", reference="T-2")])
    withdraw(ledger, [1])
    assert [concept.name for concept in active(requests(ledger)).values()] == ["fox", "owl"]
    withdraw(ledger, [2])
    assert active(requests(ledger)) == {}
    assert add(ledger, [ask("fox", reference="T-1")]) == [3]  # its name is free again


def test_a_thousand_requests_and_fifty_withdrawn(ledger):
    numbers = add(ledger, [ask(f"thing {i}", reference=f"T-{i}") for i in range(1000)])
    assert numbers == [*range(1, 1001)]
    withdraw(ledger, numbers[::20])
    listed = requests(ledger)
    assert len(listed) == 1000 and sum(request.stands for request in listed) == 950
    standing = {concept.phrase for concept in active(listed).values()}
    assert standing == {f"thing {i}" for i in range(1000) if i % 20}
    assert standings(ledger).states.keys() == {*numbers}


# Several processes, and their ends --------------------------------------------------------


def test_two_processes_at_once_lose_nothing(ledger):
    added, withdrawn = changes("together", ledger)
    listed = requests(ledger)
    assert added == {request.id for request in listed} == {*range(1, 2 * ledger_lives.EACH + 1)}
    assert withdrawn == {request.id for request in listed if not request.stands}
    assert len(withdrawn) == ledger_lives.EACH
    for name in ("first", "second"):
        own = [next(iter(r.concepts.values())).phrase for r in listed if r.added_by == name]
        assert own == [f"{name} {turn}" for turn in range(ledger_lives.EACH)]


def test_killed_twenty_times_it_keeps_every_change_that_it_acknowledged(ledger):
    added, withdrawn = changes("kill", ledger)
    assert is_whole(ledger)
    listed = requests(ledger)
    found = {request.id for request in listed}
    gone = {request.id for request in listed if not request.stands}
    assert added <= found and withdrawn <= gone
    # A process dies between the change and its report of it, at most once in its life.
    assert len(found - added) + len(gone - withdrawn) <= ledger_lives.LIVES
    assert all(len(request.concepts) == 2 for request in listed)  # none is there in part
    assert found == {*range(1, len(listed) + 1)}


def test_a_change_that_fails_in_the_middle_leaves_nothing(ledger):
    add(ledger, [ask("fox")])
    with pytest.raises(InputError, match="'fox' is in request 1 already"):
        add(ledger, [ask("owl"), ask("bee"), ask("fox")])
    with pytest.raises(InputError, match="no request 9; it has 1 to 1"):
        withdraw(ledger, [1, 9])
    (only,) = requests(ledger)
    assert only.stands


def test_a_second_build_is_refused_while_one_runs(ledger):
    with ledger.build_lock():
        with (
            pytest.raises(InputError, match=r"another build of .* is running"),
            ledger.build_lock(),
        ):
            pass
        assert add(ledger, [ask("fox")]) == [1]  # requests come all the same
    with ledger.build_lock():
        pass


def test_one_file_is_all_there_is_between_changes(ledger):
    add(ledger, [ask("fox")])
    assert [file.name for file in ledger.path.parent.iterdir()] == ["takedown.db"]


# What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked, message",
    [
        (ask("fox", synonyms=("vixen",)), "'fox' is in request 1 already. Leave it out, or tell"),
        (ask("fox"), "'fox' is in request 1 with other details"),
        (ask("FOX", surrogate="cat"), "'FOX' is in request 1 with other details"),
        (ask("vixen"), "'vixen' and 'fox' of request 1: 'vixen' is the name of one"),
        (ask("beast", synonyms=("Fox",)), "'beast' and 'fox' of request 1: 'fox' is the name"),
        (ask("owl", "owl"), "'owl' is given twice in one request"),
        (ask("owl", reference="T-1"), "reference 'T-1' is that of request 1"),
        (ask("owl", reference=" "), "reference is empty"),
        (NewRequest(()), "a request has no concept"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_requests_at_odds_with_each_other(ledger, asked, message):
    add(ledger, [ask("fox", synonyms=("vixen",), reference="T-1")])
    with pytest.raises(InputError, match=re.escape(message)):
        add(ledger, [asked])
    assert len(requests(ledger)) == 1


def test_what_was_withdrawn_is_at_odds_with_nothing(ledger):
    add(ledger, [ask("fox", synonyms=("vixen",))])
    withdraw(ledger, [1])
    assert add(ledger, [ask("fox", surrogate="cat"), ask("vixen")]) == [2, 3]
    with pytest.raises(InputError, match="request 1 was withdrawn already, at 20"):
        withdraw(ledger, [1])


@pytest.mark.parametrize("at", ["yesterday", "2026-13-01", ""])
def test_times_are_iso_8601(ledger, at):
    with pytest.raises(InputError, match=r"at is .*; allowed: a date or a time in ISO 8601"):
        add(ledger, [ask("fox")], at=at)
    assert requests(ledger) == []


def test_files_that_are_no_ledger(tmp_path):
    with pytest.raises(InputError, match=r"there is no ledger .*none.db. Make it"):
        requests(Ledger(tmp_path / "none.db"))
    text = tmp_path / "text.db"
    text.write_text("no database\n" * 100)
    with pytest.raises(InputError, match=r"text.db: file is not a database. It is no ledger"):
        requests(Ledger(text))
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    with pytest.raises(InputError, match=r"other.db is no ledger"):
        add(Ledger(other), [ask("fox")])
    for file in (text, other):
        before = file.read_bytes()
        with pytest.raises(InputError):
            Ledger.create(file)
        assert file.read_bytes() == before


def test_a_ledger_is_made_once_and_of_this_version(ledger):
    with pytest.raises(InputError, match="is there already"):
        Ledger.create(ledger.path)
    with sqlite3.connect(ledger.path) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(InputError, match=r"has format 9, and this version reads 1\. Upgrade"):
        requests(ledger)


def test_an_init_that_was_killed_can_be_repeated(tmp_path):
    file = tmp_path / "takedown.db"
    file.touch()  # SQLite makes the file first
    assert requests(Ledger.create(file)) == []


@pytest.mark.parametrize(
    "settings", [{"hardening": "much"}, {"seed": -1}, {"finetune": 1}], ids=repr
)
def test_settings_are_checked(settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        Settings(**settings)
