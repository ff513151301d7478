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
def script(monkeypatch):
    """Imports one of the benchmark scripts."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


@pytest.fixture
def compare(script):
    return script("compare")


def check_overrides(method, overrides):
    for key, value in overrides.items():
        found = asdict(method)[key]
        assert value.items() <= found.items() if isinstance(value, dict) else found == value


def test_every_method_may_try_as_many_settings_and_begins_with_the_published(script):
    variants = script("variants")
    assert [*variants.GRID] == [*variants.COMPARED]
    assert set(variants.COMPARED) == {*METHODS, variants.STAGE_1}
    for name, tried in variants.GRID.items():
        assert len(tried) == variants.BUDGET and tried[0] == {}
        methods = [variants.configured(name, overrides) for overrides in tried]
        assert methods[0] == variants.COMPARED[name]
        assert len({variants.key_of(method) for method in methods}) == variants.BUDGET
        for overrides, method in zip(tried, methods, strict=True):
            check_overrides(method, overrides)


def test_every_part_of_trace_is_taken_out_once(script):
    variants = script("variants")
    methods = {
        name: variants.configured("trace", overrides)
        for name, overrides in variants.ABLATION.items()
    }
    assert len({variants.key_of(method) for method in methods.values()}) == len(methods)
    for name, overrides in variants.ABLATION.items():
        check_overrides(methods[name], overrides)
    assert methods["default"] == METHODS["trace"]
    # What has the same settings under another name is made once.
    assert variants.key_of(methods["stage 1 alone"]) == variants.key_of(
        variants.COMPARED[variants.STAGE_1]
    )


def test_no_test_concept_takes_part_in_the_choice(script, compare):
    units = script("compare_units")
    chosen_on = {name for task in units.development(2, None) for name in task.concepts}
    assert chosen_on == {"panda", "sketch", "Samuel Achebe"}
    for name, concepts in compare.CONCEPTS.items():
        every = set(units.tested("compare", name, None, 2).concepts)
        assert not chosen_on & every and every | chosen_on >= set(load_task(name).concepts)
        assert set(concepts or ()) <= every
    for name in (*compare.CURVES.values(), *sum(compare.ABLATED.values(), ())):
        assert name not in chosen_on
    with pytest.raises(InputError, match="panda, sketch, Samuel Achebe"):
        units.development(2, ["fox"])


def test_a_portion_keeps_more_of_what_is_retained(script):
    task = script("compare_units").tested("compare", "objects", ["fox"], 4)
    counts = [sum(item.group == group for item in task.items) for group in ("target", "retain")]
    assert counts == [4, 12] and task.name == "compare-objects"


def test_methods_of_another_family_are_left_out_and_said(script, capsys):
    usable = script("variants").usable
    names = ["uce", "mace", "eraseanything", "trace"]
    assert usable(tiny_stable_diffusion(), names) == ["uce", "mace", "trace"]
    assert usable(tiny_flux(), names) == ["uce", "eraseanything", "trace"]
    said = capsys.readouterr().out
    assert "eraseanything is left out: EraseAnything trains" in said
    assert "mace is left out: MACE edits" in said


def test_chosen_settings_are_read_back_and_missing_ones_named(script, compare, tmp_path):
    file = tmp_path / "settings.yaml"
    tasks = script("compare_units").development(2, ["panda"])
    for name, overrides in (("uce", {"guide": None}), ("trace", {"finetune": {"steps": 7}})):
        compare.record(file, "emoji-sd", name, {"selected": overrides, "tried": []}, tasks)
    found = compare.selected(file, "emoji-sd", ["uce", "trace"])
    assert found["uce"].guide is None and found["trace"].finetune.steps == 7
    with pytest.raises(InputError, match=r"no settings of esd-x for emoji-sd.*sweep"):
        compare.selected(file, "emoji-sd", ["esd-x"])


def test_cost_counts_good_erasures_and_sets_traces_seconds_against_others(script):
    cost = script("compare_cost")
    runs = {
        ("trace", "objects", "fox", 0): {"seconds": 60.0, "bytes": 100},
        ("trace", "objects", "fox", 1): {"seconds": 40.0, "bytes": 100},
        ("esd-x", "objects", "fox", 0): {"seconds": 30.0, "bytes": 900, "added_mib": 8.0},
        ("esd-x", "objects", "fox", 1): {"seconds": 10.0, "bytes": 900, "added_mib": 6.0},
        ("uce", "objects", "fox", 0): {"seconds": 1.0, "bytes": 50},
    }
    good = {run for run in runs if run[0] == "trace"} | {("esd-x", "objects", "fox", 0)}
    trace, esd, uce = cost.costs(runs, good, ["trace", "esd-x", "uce"])
    assert trace["seconds"] == 50 and trace["trace_ratio"] == 1 and trace["good"] == 2
    assert esd["seconds"] == 20 and esd["good"] == 1 and esd["seconds_to_good"] == 30
    assert esd["trace_ratio"] == 2 and esd["added_mib"] == 7 and esd["stage_1_ratio"] is None
    assert uce["good"] == 0 and uce["trace_ratio"] is None
    text = [
        cell if isinstance(cell, str) else cell.text for cell in cost.cost_table([uce], "").rows[0]
    ]
    assert "never" in text and "0 of 1" in text


def test_a_sweep_a_table_and_an_ablation_of_one_picture_each(compare, tmp_path, monkeypatch):
    """The whole way on the shipped model, as small as it gets; a second run draws nothing."""
    shared = dict(model="emoji-sd", work=tmp_path / "work", per_group=1, shard=None)
    stage_1 = "trace, stage 1"
    settings, out = tmp_path / "settings.yaml", tmp_path / "results"
    methods = ["uce", stage_1]
    sweep = argparse.Namespace(
        **shared, verb="sweep", methods=methods, concepts=["panda"], candidates=2, out=settings
    )
    compare.sweep(argparse.Namespace(**{**vars(sweep), "shard": (0, 2)}))
    assert not settings.exists()  # the other half is missing
    compare.sweep(argparse.Namespace(**{**vars(sweep), "shard": (1, 2)}))
    kept = yaml.safe_load(settings.read_text())["emoji-sd"]["uce"]
    assert len(kept["tried"]) == 2 and kept["selected"] in [x["settings"] for x in kept["tried"]]
    monkeypatch.setitem(compare.COMPARED, "trace", compare.configured(stage_1, {}))
    table = argparse.Namespace(
        **shared,
        verb="table",
        methods=["trace", "uce"],
        concepts=None,
        tasks=["objects"],
        seeds=[0, 1],
        settings=settings,
        published=True,
        out=out,
    )
    monkeypatch.setitem(compare.CONCEPTS, "objects", ["fox"])
    monkeypatch.setattr(compare, "STRENGTHS", (0.5, 1.0))
    compare.table(table)
    file = out / "compare-emoji-sd-objects.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["method"] for row in rows} == {"base", "blank", "trace", "uce"}
    assert {row["seed"] for row in rows} == {-1}
    tests = [row for row in rows if row["metric"].startswith("paired_")]
    assert {row["method"] for row in tests} == {"uce"} and len(tests) == 4
    costs = json.loads((out / "compare-emoji-sd-cost.json").read_text())
    assert [cost["erasures"] for cost in costs] == [2, 2] and costs[1]["bytes"] > 0
    page = (tmp_path / "work" / "emoji-sd" / "report" / "report.html").read_text()
    assert "erasure against retention" in page and "one row a method" in page
    before = file.read_bytes()

    def never(*args, **options):
        raise AssertionError("drawn again")

    ablate = argparse.Namespace(
        **shared,
        verb="ablate",
        concepts=["fox"],
        tasks=["objects"],
        variants=["stage 1 alone", "stage 1, ridge"],
        out=out,
    )
    compare.ablate(ablate)
    rows = [json.loads(x) for x in (out / "ablation-emoji-sd.jsonl").read_text().splitlines()]
    assert {row["method"] for row in rows} == {"base", *ablate.variants}
    monkeypatch.setattr("trace_erasure.evaluate.run_folder.evaluate", never)
    compare.table(table)
    assert file.read_bytes() == before
