"""Spec files: read strictly, written exactly."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from trace_erasure.concepts.concept import KINDS, Concept
from trace_erasure.config import MODES, ClosedFormConfig, EraseConfig, FinetuneConfig
from trace_erasure.config_file import (
    RunConfig,
    dump_config,
    load_config,
    parse_config,
    slug,
    to_yaml,
)
from trace_erasure.errors import InputError
from trace_erasure.math.objectives import OBJECTIVES
from trace_erasure.utils.words import fold, normalise

text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
phrase = text.filter(normalise)
several = st.lists(phrase, max_size=3).map(tuple)
positive = st.floats(min_value=1e-12, max_value=1e12)
weight = st.floats(min_value=0, max_value=1e6)
count = st.integers(1, 10_000)
between = st.floats(0, 1, exclude_min=True, exclude_max=True)


def apart(listed: list[Concept]) -> bool:
    """Whether no phrase stands in two concepts; such a spec is refused."""
    phrases = [fold(phrase) for concept in listed for phrase in concept.phrases]
    return len(set(phrases)) == len(phrases)


@st.composite
def concepts(draw):
    named, synonyms = draw(phrase), draw(several)
    own = {fold(one) for one in (named, *synonyms)}
    other = phrase.filter(lambda text: not any(one in fold(text) for one in own))
    return Concept(
        phrase=named,
        surrogate=draw(st.none() | other),
        kind=draw(st.sampled_from(KINDS)),
        synonyms=synonyms,
        retain=draw(st.lists(other, max_size=3).map(tuple)),
        templates=tuple(f"{before} {{x}}" for before in draw(several)),
    )


closed_forms = st.builds(
    ClosedFormConfig,
    mode=st.sampled_from(MODES),
    directions=st.none() | count,
    ridge=positive,
    keep=st.integers(0, 100),
)
finetunes = st.builds(
    FinetuneConfig,
    objective=st.sampled_from(sorted(OBJECTIVES)),
    eta=st.floats(0, 1),
    noise_level=st.none() | between,
    steps=count,
    rank=count,
    learning_rate=positive,
    late=weight,
    guidance_scale=weight,
)


@st.composite
def runs(draw):
    closed_form, finetune = draw(st.none() | closed_forms), draw(st.none() | finetunes)
    if closed_form is None and finetune is None:
        closed_form = ClosedFormConfig()
    listed = tuple(draw(st.lists(concepts(), min_size=1, max_size=3).filter(apart)))
    spec = EraseConfig(listed, closed_form, finetune, draw(st.integers(0, 2**40)))
    return RunConfig(draw(text), spec)


@pytest.mark.slow
@settings(deadline=None)
@given(runs())
def test_what_is_written_is_read_back(run):
    assert parse_config(to_yaml(run)) == run
    text = json.dumps(asdict(run.erase))
    assert TypeAdapter(EraseConfig).validate_json(text, strict=True) == run.erase


def test_files_round_trip_and_leave_nothing_else(tmp_path):
    run = RunConfig("emoji-sd", EraseConfig((Concept("Mira Solberg", kind="identity"),), seed=3))
    file = dump_config(run, tmp_path / "run.yaml")
    assert load_config(file) == run
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_what_is_not_given_has_its_default():
    run = parse_config("{model: emoji-sd, concepts: [fox, {phrase: neon, kind: style}]}")
    assert run.erase == EraseConfig((Concept("fox"), Concept("neon", kind="style")))
    assert run.name == "fox_neon"
    run = parse_config(
        "{model: m, concepts: [fox], finetune: null, closed_form: {keep: 3, ridge: 1}}"
    )
    assert run.erase.finetune is None
    assert run.erase.closed_form == ClosedFormConfig(keep=3, ridge=1.0)


HEAD = "model: emoji-sd\nconcepts: [fox]\n"


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("fox", "the file is 'fox'; allowed: a mapping with the keys model, concepts"),
        ("concepts: [fox", "is not valid YAML"),
        ("model: 2024-99-99\nconcepts: [fox]", "is not valid YAML"),
        ("model: a\nmodel: b\nconcepts: [fox]", "the key 'model' is given twice"),
        ("concepts: [fox]", "there is no 'model'"),
        ("model: emoji-sd", "there is no 'concepts'"),
        ("model: 3\nconcepts: [fox]", "model is 3; allowed: text; put it in quotes"),
        ("model: a\nconcepts: fox", "concepts is 'fox'; allowed: a list"),
        ("model: a\nconcepts: []", "at least one concept"),
        ("model: a\nconcepts: [no]", r"concepts\[0\] is False; allowed: a phrase in quotes"),
        ("model: a\nconcepts: ['']", "the concept is empty"),
        ("model: a\nconcepts: [{kind: style}]", r"concepts\[0\] has no 'phrase'"),
        (
            "model: a\nconcepts: [{phrase: fox, surogate: cloud}]",
            r"unknown key 'concepts\[0\].surogate'; the nearest is 'surrogate'",
        ),
        (
            "model: a\nconcepts: [{phrase: fox, synonyms: vixen}]",
            r"concepts\[0\].synonyms is 'vixen'; allowed: a list",
        ),
        (
            "model: a\nconcepts: [{phrase: fox, retain: [cat, 3]}]",
            r"concepts\[0\].retain\[1\] is 3; allowed: text",
        ),
        ("model: a\nconcepts: [{phrase: fox, kind: animal}]", "unknown concept kind 'animal'"),
        (HEAD + "fine_tune: {}", "unknown key 'fine_tune'; the nearest is 'finetune'"),
        (HEAD + "finetune: {step: 3}", "unknown key 'finetune.step'; the nearest is 'steps'"),
        (HEAD + "finetune: {steps: many}", "finetune.steps is 'many'; allowed: a whole number"),
        (HEAD + "finetune: {steps: 8.0}", "finetune.steps is 8.0; allowed: a whole number"),
        (HEAD + "finetune: {steps: true}", "finetune.steps is True; allowed: a whole number"),
        (HEAD + "finetune: {steps: 0}", "finetune.steps is 0; allowed: 1 or more"),
        (HEAD + "finetune: {eta: 4}", "finetune.eta is 4.0; allowed: 0 to 1"),
        (HEAD + "finetune: {late: .nan}", "finetune.late is nan; allowed: a number"),
        (HEAD + "finetune: fast", "finetune is 'fast'; allowed: a mapping"),
        (HEAD + "closed_form: {ridge: 1e-3}", "closed_form.ridge is '1e-3'; .* 1.0e-3"),
        (HEAD + "closed_form: null\nfinetune: null", "both stages are switched off"),
        (HEAD + "seed: one", "seed is 'one'; allowed: a whole number"),
        (HEAD + "? [a, b]\n: 1", "is not valid YAML|unknown key"),
    ],
)
def test_one_clear_message(tmp_path, content, message):
    file = tmp_path / "run.yaml"
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load_config(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*missing\.yaml"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(InputError, match="cannot read"):
        load_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file in UTF-8"):
        load_config(tmp_path / "binary.yaml")


def test_a_spec_that_cannot_be_written_leaves_nothing(tmp_path):
    run = RunConfig("emoji-sd", EraseConfig((Concept("fox"),)))
    with pytest.raises(InputError, match="cannot write"):
        dump_config(run, tmp_path / "missing" / "run.yaml")
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_names_are_plain_file_names(name):
    made = slug(name)
    assert 0 < len(made) <= 60
    assert not set(made) & set('/\\. :*?"<>|')


def test_different_concepts_have_different_names():
    names = [
        "fox",
        "fox!",
        'fox"',
        "f-ox",
        "f ox",
        "🦊",
        "🐻",
        "..",
        "!!!",
        "con",
        "x" * 80,
        "x" * 81,
    ]
    made = [slug(name) for name in names]
    assert made[0] == "fox" and slug("Mira Solberg") == "mira-solberg"
    assert len(set(made)) == len(names)
    assert not {"con", "..", ""} & set(made)


def test_every_number_must_be_finite():
    with pytest.raises(InputError, match="ridge is inf"):
        parse_config(HEAD + "closed_form: {ridge: .inf}")
    finetune = parse_config(HEAD + "finetune: {eta: 1}").erase.finetune
    assert finetune is not None and math.isclose(finetune.strength, 1.0)
