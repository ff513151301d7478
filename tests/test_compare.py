"""The comparison script: what it tries, what it keeps apart, and that it runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image

from benchmarks.comparison import ablation, cost, grid, methods, settings, size, sweep, table, units
from benchmarks.core.erasures import erasure_file, key_of
from benchmarks.core.meter import metered
from benchmarks.scenes import gate
from trace_erasure.baselines.registry import METHODS
from trace_erasure.baselines.trace import Trace
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Verdict, load_task
from trace_erasure.evaluation.runs.runner import used_protocol
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion

LINUX = sys.platform == "linux"


def check_overrides(method, overrides):
    for key, value in overrides.items():
        found = asdict(method)[key]
        assert value.items() <= found.items() if isinstance(value, dict) else found == value


def test_no_method_may_try_fewer_settings_than_trace_and_each_begins_with_the_published():
    assert [*grid.GRID] == [*methods.COMPARED]
    assert set(methods.COMPARED) == {*METHODS, methods.BOTH_STAGES}
    for name, tried in grid.GRID.items():
        assert len(tried) >= len(grid.GRID["trace"]) == grid.BUDGET and tried[0] == {}
        made = [methods.configured(name, overrides) for overrides in tried]
        assert made[0] == methods.COMPARED[name]
        assert len({key_of(method) for method in made}) == len(tried)
        for overrides, method in zip(tried, made, strict=True):
            check_overrides(method, overrides)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("uce", {"columns": "last"}),
        ("uce", {"columns": "tail", "preserve_scale": 0.1}),
        ("rece", {"rounds": 3}),
        ("rece", {"rounds": 1, "penalty": 0.1, "retained": "all"}),
        ("speed", {"average": True}),
        ("esd-x", {"steps": 200, "learning_rate": 5e-5}),
    ],
)
def test_every_released_form_is_among_what_is_tried(name, form):
    tried = [vars(methods.configured(name, overrides)) for overrides in grid.GRID[name]]
    assert any(form.items() <= settings.items() for settings in tried)


def test_every_part_of_trace_is_changed_once_and_none_is_refused():
    made = {
        name: methods.configured("trace", overrides)
        for name, overrides in ablation.ABLATION.items()
    }
    assert len({key_of(method) for method in made.values()}) == len(made)
    for name, overrides in ablation.ABLATION.items():
        check_overrides(made[name], overrides)
    assert made["default"] == METHODS["trace"]
    # What has the same settings under another name is made once.
    assert key_of(made["both stages"]) == key_of(methods.COMPARED[methods.BOTH_STAGES])
    chosen = [
        methods.configured(name, overrides)
        for name in ("trace", methods.BOTH_STAGES)
        for overrides in grid.GRID[name]
    ]
    for method in (*made.values(), *chosen):
        assert isinstance(method, Trace)
        EraseConfig((Concept("fox"),), method.closed_form, method.finetune)


def test_a_stage_that_is_off_is_switched_on_by_its_settings():
    configured: Any = methods.configured  # of Trace, whose settings are compared
    assert configured("trace", {"finetune": {"steps": 7}}).finetune == FinetuneConfig(steps=7)
    assert configured("trace", {}).finetune is None
    alone = {"closed_form": None, "finetune": {}}
    assert configured("trace", alone) == Trace(closed_form=None, finetune=FinetuneConfig())


def test_no_test_concept_takes_part_in_the_choice():
    chosen_on = {name for task in units.development(2, None) for name in task.concepts}
    assert chosen_on == {"panda", "sketch", "Samuel Achebe"}
    seen_at_design = {*gate.DEVELOPMENT, "fox", "apple"}
    for name, concepts in table.CONCEPTS.items():
        every = set(units.tested("compare", name, None, 2).concepts)
        assert every | chosen_on >= set(load_task(name).concepts)
        assert not chosen_on & every or name in units.CROSSED
        assert set(concepts or ()) <= every
        tested = set(concepts or every)
        assert not tested & seen_at_design and (len(tested) >= 6 or name == "hazard")
    for name in (*table.CURVES.values(), *sum(ablation.ABLATED.values(), ())):
        assert name not in chosen_on
    with pytest.raises(InputError, match="panda, sketch, Samuel Achebe"):
        units.development(2, ["fox"])


def test_the_development_style_is_tested_with_settings_chosen_without_it(tmp_path):
    file = tmp_path / "settings.yaml"
    tried = [
        {"settings": {}, "h_o": 0.8, "h_o_by_task": {"dev-objects": 0.9, "dev-styles": 0.7}},
        {
            "settings": {"guide": None},
            "h_o": 0.85,
            "h_o_by_task": {"dev-objects": 0.8, "dev-styles": 0.9},
        },
    ]
    entry = {"selected": {"guide": None}, "tried": tried}
    settings.record(file, "emoji-sd", "uce", entry, [])
    how = options(tmp_path, published=False, settings=file)
    found: Any = table.methods_of(how, ["uce"], {"compare-styles"})
    assert found[None]["uce"].guide is None and found["sketch"]["uce"].guide == ""
    tasks = [units.tested("compare", "styles", None, 1, 1)]
    made: Any = table.units_for(tasks, [], found, (0, 1))
    of = {unit.erased[1]: unit.settings.guide for unit in made if unit.settings is not None}
    assert of.pop("sketch") == "" and set(of.values()) == {None} and len(of) == 5
    settings.record(file, "emoji-sd", "uce", {"selected": {}, "tried": [{"settings": {}}]}, [])
    with pytest.raises(InputError, match="do not tell dev-styles apart"):
        table.methods_of(how, ["uce"], {"compare-styles"})


def test_seeds_are_of_what_depends_on_them():
    task = units.tested("compare", "objects", ["cat", "dog"], 1)
    made = units.units_of(task, methods.COMPARED, (0, 1), ())
    seeds = Counter(unit.method for unit in made)
    once = {name for name, count in seeds.items() if count == 2}
    assert once == {"trace", "uce", "rece"} and {*seeds.values()} == {2, 4}


def test_another_seed_makes_the_same_closed_form():
    concept = [Concept("fox", surrogate="cat")]
    captions = ["a picture of a dog", "a tree", "a fox"]
    for name in ("trace", "uce", "rece"):
        made = {
            METHODS[name].erase(tiny_stable_diffusion(), concept, seed=seed, captions=captions).name
            for seed in (0, 1)
        }
        assert len(made) == 1


def test_a_portion_keeps_more_of_what_is_retained():
    task = units.tested("compare", "objects", ["fox"], 4)
    counts = [sum(item.group == group for item in task.items) for group in ("target", "retain")]
    assert counts == [4, 12] and task.name == "compare-objects"
    more = units.tested("compare", "objects", ["fox"], 4, 48)
    assert sum(item.group == "target" for item in more.items) == 48
    assert sum(item.group == "pair" for item in more.items) == 4
    words = units.tested("category", "objects", ["car", "house"], 4)
    assert words.concepts == ("car",) and {item.group for item in words.items} == {"category"}
    assert {item.prompt for item in words.items} >= {"a vehicle"}


def test_methods_of_another_family_are_left_out_and_said(capsys):
    usable = methods.usable
    names = ["uce", "mace", "eraseanything", "trace"]
    assert usable(tiny_stable_diffusion(), names) == ["uce", "mace", "trace"]
    assert usable(tiny_flux(), names) == ["uce", "eraseanything", "trace"]
    said = capsys.readouterr().out
    assert "eraseanything is left out: EraseAnything trains" in said
    assert "mace is left out: MACE edits" in said


def test_chosen_settings_are_read_back_and_missing_ones_named(tmp_path):
    file = tmp_path / "settings.yaml"
    tasks = units.development(2, ["panda"])
    for name, overrides in (("uce", {"guide": None}), ("trace", {"finetune": {"steps": 7}})):
        settings.record(file, "emoji-sd", name, {"selected": overrides, "tried": []}, tasks)
    found: dict[str, Any] = settings.selected(file, "emoji-sd", ["uce", "trace"])
    assert found["uce"].guide is None and found["trace"].finetune.steps == 7
    with pytest.raises(InputError, match=r"no settings of esd-x for emoji-sd.*sweep"):
        settings.selected(file, "emoji-sd", ["esd-x"])


def test_cost_counts_good_erasures_and_sets_traces_seconds_against_others():
    runs = {
        ("trace", "objects", "fox", 0): {"seconds": 60.0, "bytes": 100, "name": "same"},
        ("trace", "objects", "fox", 1): {"seconds": 40.0, "bytes": 100, "name": "same"},
        ("esd-x", "objects", "fox", 0): {"seconds": 30.0, "added_mib": 8.0, "name": "one"},
        ("esd-x", "objects", "fox", 1): {"seconds": 10.0, "added_mib": 6.0, "name": "other"},
        ("uce", "objects", "fox", 0): {"seconds": 1.0, "bytes": 50, "name": "uce"},
    }
    good = {run for run in runs if run[0] == "trace"} | {("esd-x", "objects", "fox", 0)}
    trace, esd, uce = cost.costs(runs, good, ["trace", "esd-x", "uce"])
    assert trace["seconds"] == 50 and trace["trace_ratio"] == 1
    assert trace["good"] == trace["erasures"] == 1  # two seeds, one file
    assert esd["erasures"] == 2 and esd["seconds"] == 20
    assert esd["good"] == 1 and esd["seconds_to_good"] == 30
    assert esd["trace_ratio"] == 2 and esd["added_mib"] == 7 and esd["both_stages_ratio"] is None
    assert uce["good"] == 0 and uce["trace_ratio"] is None
    text = [
        cell if isinstance(cell, str) else cell.text for cell in cost.cost_table([uce], "").rows[0]
    ]
    assert "never" in text and "0 of 1" in text
    both = (methods.BOTH_STAGES, "objects", "fox", 0)
    more: Any = {**runs, both: {"seconds": 90.0, "name": "both"}}
    (esd,) = cost.costs(more, {*good, both}, ["esd-x"])
    assert esd["both_stages_ratio"] == 3


def test_what_an_erasure_takes_is_metered():
    with metered() as spent:
        block = bytearray(64 << 20)
        block[::4096] = b"x" * len(block[::4096])
        del block
    assert spent["seconds"] >= 0 and (not LINUX or 60 < spent["added_mib"] < 100)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Neither erases nor draws: all but TRACE and SPEED as published change nothing.

    Gives the method of every task that was measured.
    """
    pipe = tiny_stable_diffusion()
    good = {key_of(METHODS[name]) for name in ("trace", "speed")}
    calls = []

    def erase(pipe, erased, key, settings, seed, work):
        file = erasure_file(erased, key, seed, work)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            name = f"{key} {erased} {seed}"
            line = dict(task=erased[0], concept=erased[1], method=key, seed=seed, name=name)
            with (work / "seconds.jsonl").open("a") as log:
                log.write(json.dumps({**line, "seconds": 2.0, "bytes": 100}) + "\n")
        return SimpleNamespace(name=f"{key} {erased} {seed}")

    def look(pipe, task, judges, *, model, method, seed, store, autocast, **_):
        calls.append(method)
        store.save("grey", Image.new("RGB", (4, 4)))
        erases = method.partition(" ")[0] in good
        return [
            Verdict(
                model, task.name, method, seed, item.concept, judge.id,
                str(used_protocol(pipe, task, item.concept, autocast)),
                item.id, item.group, item.shown, item.seed, "grey", item.expects,
                labels=("subject/fox",), probability=0.9,
                correct=method != "blank" and (item.group == "retain" or not erases),
            )
            for item in task.items
            for judge in judges
        ]  # fmt: skip

    for module in (sweep, table, ablation):
        monkeypatch.setattr(module, "load_model", lambda name, device: pipe)
    judges = [SimpleNamespace(id="resnet@1"), SimpleNamespace(id="regnet@1")]
    monkeypatch.setattr(units, "shipped_classifiers", lambda device: judges)
    monkeypatch.setattr(units, "erasure_for", erase)
    monkeypatch.setattr("trace_erasure.evaluation.runs.run_folder.collect_verdicts", look)
    return calls


def options(tmp_path, **changes):
    usual = dict(
        model="emoji-sd",
        device="cpu",
        work=tmp_path / "work",
        out=tmp_path / "results",
        settings=tmp_path / "settings.yaml",
        shard=(0, 1),
        per_group=1,
        concepts=None,
    )
    return argparse.Namespace(**usual | changes)


def test_the_last_shard_of_a_sweep_writes_what_it_chose(drawn, tmp_path):
    shared = dict(methods=["uce", "speed"], candidates=2)
    sweep.run(options(tmp_path, **shared, shard=(0, 2)))
    assert drawn and not (tmp_path / "settings.yaml").exists()
    sweep.run(options(tmp_path, **shared, shard=(1, 2)))
    assert len(drawn) == 2 * 2 * 3  # methods, settings, concepts: each once
    kept = yaml.safe_load((tmp_path / "settings.yaml").read_text())["emoji-sd"]
    assert len(kept["speed"]["tried"]) == 2 and kept["speed"]["selected"] == {}
    assert set(kept["uce"]["measured_on"]) == {"dev-objects", "dev-styles", "dev-identities"}


@pytest.mark.slow
def test_the_whole_comparison_takes_at_most_twelve_hours_and_its_readme_says_how_long(capsys):
    size.run(argparse.Namespace())
    said = capsys.readouterr().out
    found = float(said.splitlines()[-1].split()[0])
    assert 0 < found <= size.MOST_HOURS == 12
    assert said in (Path(size.__file__).parent / "README.md").read_text("utf-8")


@pytest.mark.slow
def test_a_table_pools_trainings_and_draws_nothing_twice(drawn, tmp_path, monkeypatch):
    monkeypatch.setitem(table.CONCEPTS, "objects", ("cat", "car"))
    names = ["trace", "speed", "uce"]
    for name in names:
        settings.record(
            tmp_path / "settings.yaml", "emoji-sd", name, {"selected": {}, "tried": []}, []
        )
    chosen = dict(methods=names, seeds=[0, 1], published=False, named=2)
    how = options(tmp_path, **chosen, tasks=["objects", "hazard"])
    table.run(how)
    file = tmp_path / "results" / "emoji-sd" / "compare-objects.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["method"] for row in rows} == {"base", "blank", "trace", "speed", "uce"}
    # Of the three only SPEED depends on the seed.
    assert {row["seed"] for row in rows if row["method"] == "speed"} == {-1}
    assert {row["seed"] for row in rows if row["method"] == "uce"} == {0}
    assert {row["task"] for row in rows} == {"compare-objects"}
    tests = {
        (row["method"], row["metric"]): row["value"] for row in rows if "paired" in row["metric"]
    }
    assert tests["uce", "paired_q_erased"] == 2 / 2**2  # both concepts the same way
    shares = {(row["method"], row["metric"]): row["value"] for row in rows}
    assert shares["uce", "pair_of_base"] == 1 and shares["trace", "pair_of_base"] == 0
    named = (tmp_path / "results" / "emoji-sd" / "category-objects.jsonl").read_text()
    assert {json.loads(line)["metric"] for line in named.splitlines()} >= {"category_of_base"}
    assert {name for name, _ in tests} == {"speed", "uce"}
    assert tests["speed", "paired_erased"] == 0 and tests["uce", "paired_erased"] == 1
    cost = (tmp_path / "results" / "emoji-sd" / "compare-cost.jsonl").read_text().splitlines()
    costs = {(row["method"], row["metric"]): row["value"] for row in map(json.loads, cost)}
    assert costs["trace", "erasures"] == costs["trace", "good"] == 2 + 1  # not times two seeds
    assert costs["uce", "good"] == 0 and costs["uce", "bytes"] == 100
    assert costs["uce", "trace_ratio"] is None
    page = (tmp_path / "work" / "emoji-sd" / "report" / "report.html").read_text()
    assert "erasure against retention" in page and "cat, one row a method" in page
    before, count = file.read_bytes(), len(drawn)
    table.run(how)
    assert file.read_bytes() == before and len(drawn) == count


def test_an_ablation_has_a_row_a_part(drawn, tmp_path):
    parts = ["default", "both stages", "4 directions"]
    ablation.run(options(tmp_path, tasks=["objects"], variants=parts))
    file = tmp_path / "results" / "emoji-sd" / "ablation.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["method"] for row in rows} == {"base", *parts}
    h_o = {r["method"]: r["value"] for r in rows if r["metric"] == "h_o" and "resnet" in r["judge"]}
    assert h_o["default"] == 1 and h_o["both stages"] == 0


@pytest.mark.slow
def test_a_sweep_of_one_picture_a_group_for_real(tmp_path):
    """The whole way on the shipped model, as small as it gets."""
    sweep.run(options(tmp_path, methods=["uce"], candidates=1, concepts=["panda"]))
    kept = yaml.safe_load((tmp_path / "settings.yaml").read_text())["emoji-sd"]["uce"]
    assert kept["selected"] == {} and 0 <= kept["tried"][0]["h_o"] <= 1
    (line,) = (tmp_path / "work" / "emoji-sd" / "seconds.jsonl").read_text().splitlines()
    assert json.loads(line)["bytes"] > 0
