"""Whatever a header says, reading it gives an erasure or one InputError that names the file."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzzing import rewritten
from trace_erasure.artifact import lora_file
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.header import MERGE_STATISTICS, read_header
from trace_erasure.artifact.provenance import PROVENANCE
from trace_erasure.artifact.record import BaselineRecord, CustomRecord, MergedRecord, TraceRecord
from trace_erasure.errors import InputError

FOLDER = Path(__file__).parent / "fixtures/artifacts"
FILES = {file.stem: lora_file.read(file) for file in FOLDER.glob("*.safetensors")}
DEEP = "[" * 100_000 + "]" * 100_000
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(-1, 10**6), max_size=3),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


def read(path: Path) -> Erasure | None:
    """What reading gives; None for one error that names the file. Nothing else may happen."""
    for reader in (read_header, Erasure.load):
        try:
            found = reader(path)
        except InputError as error:
            assert str(path) in str(error)
            assert len(str(error)) < 2000
            found = None
    return found  # type: ignore[return-value]


def places(value, path=()):
    """Every path into nested JSON."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from places(inner, (*path, i))


def at(value, path):
    for key in path:
        value = value[key]
    return value


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FILES))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_provenance_loads_or_is_refused(tmp_path, kind, data):
    tensors, metadata = FILES[kind]
    whole = json.loads(metadata[PROVENANCE])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([p for p in places(whole) if p]))
        parent = at(whole, path[:-1])
        match data.draw(st.sampled_from(["drop", "replace", "rename", "nest"])):
            case "drop":
                del parent[path[-1]]
            case "replace":
                parent[path[-1]] = data.draw(VALUES)
            case "rename" if isinstance(parent, dict):
                parent[data.draw(st.text(max_size=4))] = parent.pop(path[-1])
            case _:
                parent[path[-1]] = [copy.deepcopy(parent[path[-1]])]
        if not whole:
            break
    file = rewritten(
        tmp_path / "a.safetensors", tensors, {**metadata, PROVENANCE: json.dumps(whole)}
    )
    erasure = read(file)
    if erasure is not None:  # then it can be used and written again
        assert isinstance(
            erasure.record, TraceRecord | BaselineRecord | MergedRecord | CustomRecord
        )
        erasure.save(tmp_path / "b.safetensors")


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_changed_text_loads_or_is_refused(tmp_path, data):
    """Damage below JSON: characters of an entry are cut out, doubled or replaced."""
    tensors, metadata = FILES["hardened"]
    entry = data.draw(st.sampled_from([PROVENANCE, MERGE_STATISTICS]))
    text = metadata[entry]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    changed = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
    read(rewritten(tmp_path / "a.safetensors", tensors, {**metadata, entry: changed}))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_tensors_load_or_are_refused(tmp_path, data):
    tensors, metadata = FILES["both-stages"]
    name = data.draw(st.sampled_from(sorted(tensors)))
    shape = data.draw(st.lists(st.integers(0, 20), max_size=3))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float16, torch.int64]))
    changed = {**tensors, name: torch.ones(shape, dtype=dtype)}
    if data.draw(st.booleans()):
        changed[f"{name}.x"] = changed.pop(name)
    erasure = read(rewritten(tmp_path / "a.safetensors", changed, metadata))
    same = changed.keys() == tensors.keys() and changed[name].shape == tensors[name].shape
    assert same or erasure is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda p: p.pop("record"), "record"),
        (lambda p: p["record"].pop("spec"), "record.trace.spec"),
        (lambda p: p["record"]["spec"].update(seed="x"), "record.trace.spec.seed"),
        (lambda p: p["record"]["spec"]["concepts"][0].pop("phrase"), "concepts[0].phrase"),
        (lambda p: p["record"].update(schema_version=2, kind="trace"), "schema_version"),
        (lambda p: p["record"].update(kind="other"), "record"),
        (lambda p: p["base"].update(sha256=[]), "base.sha256"),
        (lambda p: p.update(ranks={}), "ranks"),
        (lambda p: p["ranks"].update({next(iter(p["ranks"])): [-8, 16]}), "ranks"),
        (lambda p: p["ranks"].update({next(iter(p["ranks"])): [10**6, 0]}), "rank"),
        (lambda p: p["ranks"].update({"nowhere": [8, 0]}), "nowhere"),
        (lambda p: p.update(family="none"), "'none'"),
        (lambda p: p.update(format="2"), "format"),
        (lambda p: p["record"]["certificate"].update(rank=1.5), "certificate.rank"),
    ],
)
def test_the_field_is_named(tmp_path, change, field):
    tensors, metadata = FILES["trace"]
    whole = json.loads(metadata[PROVENANCE])
    change(whole)
    file = rewritten(
        tmp_path / "a.safetensors", tensors, {**metadata, PROVENANCE: json.dumps(whole)}
    )
    with pytest.raises(InputError) as error:
        Erasure.load(file)
    assert str(file) in str(error.value) and field in str(error.value)


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", DEEP, '{"format": NaN}', '{"a": 1' + "0" * 9999]
)
def test_what_is_no_json_object(tmp_path, text):
    tensors, metadata = FILES["trace"]
    file = rewritten(tmp_path / "a.safetensors", tensors, {**metadata, PROVENANCE: text})
    for reader in (read_header, Erasure.load):
        with pytest.raises(InputError, match="trace_erasure"):
            reader(file)


def test_an_oversized_entry_is_refused_before_it_is_read(tmp_path):
    tensors, metadata = FILES["trace"]
    whole = json.loads(metadata[PROVENANCE]) | {"padding": "x" * 17_000_000}
    file = rewritten(
        tmp_path / "a.safetensors", tensors, {**metadata, PROVENANCE: json.dumps(whole)}
    )
    with pytest.raises(InputError, match="characters"):
        Erasure.load(file)


def test_a_header_of_nested_brackets(tmp_path):
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(DEEP).to_bytes(8, "little") + DEEP.encode())
    assert read(file) is None


def test_reading_needs_neither_diffusers_nor_the_concept_search():
    code = (
        "import sys; from trace_erasure import Erasure;"
        f"Erasure.load({str(FOLDER / 'both-stages.safetensors')!r});"
        "print(sorted(m for m in sys.modules if m in {'diffusers', 'peft', 'transformers'} or "
        "m.startswith('trace_erasure.concepts')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(
        [
            "trace_erasure.concepts",
            "trace_erasure.concepts.caption_source",
            "trace_erasure.concepts.concept",
            "trace_erasure.concepts.inflections",
            "trace_erasure.concepts.kinds",
            "trace_erasure.concepts.lexicon",
            "trace_erasure.concepts.masking",
            "trace_erasure.concepts.templates",
        ]
    )
