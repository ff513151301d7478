"""The comparison script: what it tries, what it keeps apart, and that it runs."""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from trace_erasure.errors import InputError
from trace_erasure.evaluate import load_task
from trace_erasure.methods.registry import METHODS
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion

ROOT = Path(__file__).parents[1]


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("compare")


def test_every_method_may_try_as_many_settings_and_begins_with_the_published(compare):
    assert set(compare.GRID) == set(METHODS)
    for name, tried in compare.GRID.items():
        assert len(tried) == compare.BUDGET and tried[0] == {}
        methods = [compare.configured(name, overrides) for overrides in tried]
        assert methods[0] == METHODS[name]
        assert len({compare.key_of(name, method) for method in methods}) == compare.BUDGET
        for overrides, method in zip(tried, methods, strict=True):
            for key, value in overrides.items():
                found = asdict(method)[key]
                assert value.items() <= found.items() if isinstance(value, dict) else found == value


def test_no_test_concept_takes_part_in_the_choice(compare):
    chosen_on = {name for task in compare.development(2, None) for name in task.concepts}
    assert chosen_on == {"panda", "bus", "sketch", "Samuel Achebe"}
    for name in compare.KINDS:
        assert not chosen_on & set(compare.tested(name, None, 2).concepts)
        assert set(compare.tested(name, None, 2).concepts) | chosen_on >= set(
            load_task(name).concepts
        )


def test_methods_of_another_family_are_left_out_and_said(compare, capsys):
    names = ["uce", "mace", "eraseanything", "trace"]
    assert compare.usable(tiny_stable_diffusion(), names) == ["uce", "mace", "trace"]
    assert compare.usable(tiny_flux(), names) == ["uce", "eraseanything", "trace"]
    said = capsys.readouterr().out
    assert "eraseanything is left out: EraseAnything trains" in said
    assert "mace is left out: MACE edits" in said


def test_chosen_settings_are_read_back_and_missing_ones_named(compare, tmp_path):
    file = tmp_path / "settings.yaml"
    tasks = compare.development(2, ["panda"])
    for name, overrides in (("uce", {"guide": None}), ("trace", {"finetune": {"steps": 7}})):
        compare.record(file, "emoji-sd", name, {"selected": overrides, "tried": []}, tasks)
    found = compare.selected(file, "emoji-sd", ["uce", "trace"])
    assert found["uce"].guide is None and found["trace"].finetune.steps == 7
    with pytest.raises(InputError, match=r"no settings of esd-x for emoji-sd.*sweep"):
        compare.selected(file, "emoji-sd", ["esd-x"])
    with pytest.raises(InputError, match="panda, bus, sketch, Samuel Achebe"):
        compare.development(2, ["fox"])


def test_a_sweep_and_a_table_of_one_picture_each(compare, tmp_path, monkeypatch):
    """The whole way on the shipped model, as small as it gets; a second run draws nothing."""
    shared = dict(model="emoji-sd", methods=["uce"], work=tmp_path / "work", per_group=1)
    settings = tmp_path / "settings.yaml"
    compare.sweep(argparse.Namespace(**shared, concepts=["panda"], candidates=2, out=settings))
    kept = yaml.safe_load(settings.read_text())["emoji-sd"]["uce"]
    assert len(kept["tried"]) == 2 and kept["selected"] in [x["settings"] for x in kept["tried"]]
    table = argparse.Namespace(
        **shared,
        concepts=["fox"],
        tasks=["objects"],
        seeds=[0],
        settings=settings,
        published=False,
        out=tmp_path / "results",
    )
    compare.table(table)
    file = tmp_path / "results" / "compare-emoji-sd-objects.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["method"] for row in rows} == {"base", "blank", "uce"}
    (cost,) = json.loads((tmp_path / "results" / "compare-emoji-sd-cost.json").read_text())
    assert cost["method"] == "uce" and cost["bytes"] > 0 and cost["seconds"] > 0
    before = file.read_bytes()

    def never(*args, **options):
        raise AssertionError("drawn again")

    monkeypatch.setattr("trace_erasure.evaluate.run_folder.evaluate", never)
    compare.table(table)
    assert file.read_bytes() == before
