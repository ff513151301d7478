"""Damaged files of every kind: each is read, or refused by one message that names it.

`make fuzz` runs the same cases by the thousand, with limits of time and memory.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzzing import KINDS, TASK, case
from trace_erasure.errors import InputError
from trace_erasure.evaluation import load_task
from trace_erasure.evaluation.tasks import loader


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=st.integers(10**6, 10**9))
def test_a_damaged_file_is_read_or_one_message(tmp_path, kind, number):
    case(kind, number, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_some_damage_does_no_harm(tmp_path, kind):
    """Otherwise the cases would be about the first check alone."""
    if kind in ("picture", "parquet"):  # their checksums let hardly any damage through
        return
    assert any(case(kind, number, tmp_path) for number in range(60))


def test_cases_are_the_same_in_every_run(tmp_path):
    KINDS["artifact"](tmp_path, Random("artifact 7"))
    first = (tmp_path / "a.safetensors").read_bytes()
    case("artifact", 7, tmp_path)
    assert (tmp_path / "a.safetensors").read_bytes() == first


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{ground}", "{ground", "template .* is broken"),
        ("{ground}", "{}", "no name"),
        ("{ground}", "{0}", "no name"),
        ("{ground}", "{ground.upper}", "no name"),
        ("{ground}", "{ground!r}", "no name"),
        ("{ground}", "{ground:>9999999}", "no name"),
        ("without: ground", "without: nothing", "without is 'nothing'"),
        ("{x: [a fox], synonym: [a vixen]}", "{synonym: [a vixen]}", "no words"),
        ('"subject/{name}"', '"subject/{name}}"', "only placeholder"),
        ("seeds: 2", "seeds: 1000000", "more than 100 items"),
        ("seeds: 2", "seeds: 0", "no items|0"),
    ],
)
def test_templates_of_a_task(tmp_path, old, new, said, monkeypatch):
    monkeypatch.setattr(loader, "MOST_ITEMS", 100)
    assert old in TASK
    file = tmp_path / "foxes.yaml"
    text = TASK if new != "seeds: 0" else TASK[: TASK.index("  retain:")]
    file.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=said) as error:
        load_task(file)
    assert str(file) in str(error.value)


def test_fixtures_are_whole(tmp_path: Path):
    (tmp_path / "foxes.yaml").write_text(TASK, "utf-8")
    assert len(load_task(tmp_path / "foxes.yaml").items) > 10
