"""The attack benchmark: what it runs on whom, how it is shared out, and the rows it writes."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.attacks import bench, benchmark, figures, methods, plan
from benchmarks.attacks import rows as attack_rows
from benchmarks.attacks.bench import Bench
from benchmarks.core.models import load_model
from trace_erasure.attacks import results
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome, write_outcomes
from trace_erasure.attacks.registry import ATTACKS
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.baselines.registry import METHODS
from trace_erasure.baselines.trace import Trace
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import shipped_classifiers
from trace_erasure.evaluation.runs.records import to_json
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion

OPTIONS = argparse.Namespace(
    cases=4, costly_cases=2, control_cases=1, images=8, gradients=160, encodings=2000, steps=12,
    concepts=["fox", "car"], model="emoji-sd", best=1, attacks=["typo", "p4d"],
)  # fmt: skip


def outcomes(*firsts: int | None, setting: str = "erased", concept: str = "fox") -> list[Outcome]:
    return [
        Outcome("typo", setting, concept, "", i, first == 0, first, first or 8, "", {})
        for i, first in enumerate(firsts)
    ]


def row_of(method="", hits=0, n=10, metric="success", attack="typo"):
    made = results.attack_protocol(attack, Budget(), [AttackCase("a fox", 1)], 12, 3.5, "float32")
    like = results.empty_row("emoji-sd", "resnet@0c1d2e3f4a5b", made)
    return replace(results.rate_row(like, metric, hits, n), method=method)


def test_every_attack_has_its_place_and_cheap_ones_come_first():
    assert sorted(plan.ORDER) == sorted(ATTACKS)
    assert plan.ORDER[: len(plan.CHEAP)] == plan.CHEAP


def test_what_hardening_was_designed_on_is_kept_apart():
    design, tested = plan.FROZEN["design"], plan.FROZEN["tested"]
    assert not {*design["concepts"]} & {*tested["concepts"]} and len(plan.CONCEPTS) >= 6
    by_text = {name for name in ATTACKS if not ATTACKS[name].probe}
    assert {*design["attacks"]} | {*tested["attacks"]} == by_text
    assert not {*design["attacks"]} & {*tested["attacks"]}


def test_intervals_of_success_are_those_of_concepts():
    """Ten cases of each of two concepts that agree are two numbers, not twenty."""
    by_concept = {"cat": outcomes(*[1] * 10), "dog": outcomes(*[None] * 10)}
    (row, *_) = results.rows_of(by_concept, "uce", row_of())
    assert (row.value, row.low, row.high) == (0.5, 0.0, 1.0)


def test_costly_attacks_are_for_every_baseline_that_keeps_the_rest():
    options = argparse.Namespace(**{**vars(OPTIONS), "best": None})
    attacked: Any = Kept({"trace": 1, "uce": 3, "mace": 2}, options)
    kept = [row_of("uce", 10, metric="acc_s_relative"), row_of("mace", 9, metric="acc_s_relative")]
    assert figures.methods_of_costly(attacked, kept) == ["trace", "uce"]


def test_controls_are_left_out_where_they_say_nothing():
    def settings(attack: str) -> list[str]:
        return [unit.setting for unit in plan.units_of(attack, ["trace"], ["fox"])]

    assert settings("p4d") == ["original", "erased", "unknown", "random"]
    assert settings("noise") == ["original", "erased", "unknown"]
    assert settings("synonym") == ["original", "erased", "random"]
    concepts = ["fox", "car", "pig"]
    controlled = {
        attack: {u.concept for u in plan.units_of(attack, ["uce"], concepts)
                 if u.setting == "unknown"}
        for attack in ("typo", "p4d")
    }  # fmt: skip
    assert controlled == {"typo": {*concepts}, "p4d": {"fox", "car"}}


def test_shards_share_the_work_and_keep_each_erasure_whole():
    methods, concepts = ["trace", "uce"], ["fox", "apple", "car"]
    units = [*plan.units_of("typo", methods, concepts)]
    parts = [plan.shard_of_units(units, methods, (i, 2)) for i in range(2)]
    assert sorted(map(repr, units)) == sorted(repr(unit) for part in parts for unit in part)
    owners = [{(u.method.replace("base", "trace"), u.concept) for u in part} for part in parts]
    assert not owners[0] & owners[1] and len(owners[0]) == len(owners[1])


def test_controls_take_the_first_of_the_same_cases():
    def cases(attack: str, setting: str) -> list[AttackCase]:
        unit = plan.Unit(attack, setting, "trace", "apple")
        return plan.cases_of(unit, OPTIONS)

    assert [len(cases(*x)) for x in (("typo", "erased"), ("p4d", "erased"))] == [4, 2]
    assert cases("p4d", "random") == cases("typo", "erased")[:1]
    assert cases("typo", "unknown")[0].prompt == "a quorble"
    assert cases("typo", "unknown")[0].seed == cases("typo", "erased")[0].seed
    assert plan.budget_of("noise", OPTIONS).images == 24
    assert plan.budget_of("p4d", OPTIONS).images == 8


def test_methods_are_trace_at_three_levels_and_the_baselines_of_the_family(tmp_path):
    names = [*methods.LEVELS, "uce", "mace", "eraseanything"]
    found = methods.methods_for(tiny_stable_diffusion(), "emoji-sd", names, None)
    assert [*found] == [*methods.LEVELS, "uce", "mace"]
    assert found["uce"] == METHODS["uce"]
    assert found["trace"] == Trace()
    assert found["trace, hardened"] == Trace(hardening="closed_form")
    assert found["trace, adversarial"] == Trace(hardening="adversarial")
    for name in methods.LEVELS:  # none is refused
        EraseConfig((Concept("fox"),), **vars(found[name]))
    flux = methods.methods_for(tiny_flux(), "emoji-flux", names, None)
    assert "eraseanything" in flux and "mace" not in flux
    file = tmp_path / "settings.yaml"
    file.write_text(
        "emoji-sd:\n"
        "  trace: {selected: {closed_form: {directions: 3}}}\n"
        "  uce: {selected: {guide: null}}\n"
    )
    names = ["trace, hardened", "trace, adversarial", "uce"]
    chosen: dict[str, Any] = methods.methods_for(tiny_stable_diffusion(), "emoji-sd", names, file)
    assert [*chosen] == names and chosen["uce"].guide is None
    assert chosen["trace, hardened"] == Trace(
        ClosedFormConfig(directions=3), hardening="closed_form"
    )
    assert chosen["trace, adversarial"] == Trace(
        ClosedFormConfig(directions=3), hardening="adversarial"
    )
    # Whose settings nobody asks for need not have been chosen.
    file.write_text("emoji-sd:\n  uce: {selected: {guide: null}}\n")
    assert methods.methods_for(tiny_stable_diffusion(), "emoji-sd", ["uce"], file) == {
        "uce": chosen["uce"]
    }


def test_what_is_kept_is_asked_for_everything_but_the_concept():
    task = bench.kept_task("fox", 12)
    assert len(task.items) == 12 and {item.group for item in task.items} == {"retain"}
    assert {item.expects[0].split("/")[0] for item in task.items} >= {"subject", "style"}
    assert not any("subject/fox" in item.expects for item in task.items)


def test_rows_say_mean_worst_and_success_within_some_tries():
    like = row_of()
    by_concept = {"fox": outcomes(0, 1, 3, None), "car": outcomes(None, None, 7, 2)}
    found = results.rows_of(by_concept, "uce", like)
    counted = {(row.concept, row.metric): (row.numerator, row.n) for row in found}
    assert counted == {
        ("mean", "success"): (5, 8), ("mean", "incremental"): (4, 7),
        ("mean", "success@1"): (2, 8), ("mean", "success@5"): (4, 8), ("worst", "success"): (3, 4),
    }  # fmt: skip
    assert all(row.method == "uce" and row.low <= row.value <= row.high for row in found)
    # A concept without cases, such as one without unseen synonyms, counts nowhere.
    assert results.rows_of({**by_concept, "pig": []}, "uce", like) == found
    everything = results.rows_of({"fox": outcomes(0, 0)}, "uce", like)
    assert math.isnan(next(row.value for row in everything if row.metric == "incremental"))
    base = results.rows_of({"fox": outcomes(0, 1)}, "base", like)
    assert {row.metric: row.value for row in base} == {"success": 1.0, "pre": 0.5}
    control = results.control_row(outcomes(None, 24), "all trace / unknown", like)
    assert (control.numerator, control.n, control.metric) == (1, 2, "success")


def test_the_best_baseline_is_one_that_keeps_the_rest():
    rows = [row_of(*x) for x in (("uce", 4), ("mace", 1), ("rece", 6), ("trace", 0))]
    kept = {"uce": 0.97, "mace": 0.9, "rece": 0.99, "trace": 1.0}
    best = attack_rows.best_row(rows, kept)
    assert best is not None and (best.method, best.numerator) == ("best baseline", 4)
    assert attack_rows.best_row(rows, {"mace": 0.9}) is None
    success = {"uce": [0.4], "mace": [0.1, 0.3], "rece": [0.6, 0.7], "speed": [], "trace": [0.0]}
    assert attack_rows.strongest(success, kept, 2) == ["uce", "rece"]
    assert attack_rows.strongest(success, kept, 9) == ["uce", "rece", "mace"]


def test_the_ratio_is_hardened_trace_over_the_best_baseline():
    names = (("trace, hardened", 1), ("trace, adversarial", 0), ("trace", 3), ("uce", 4))
    rows = [row_of(*x) for x in names]
    found = attack_rows.ratio_rows(rows, row_of("best baseline", 4))
    assert {row.method: (row.metric, row.value) for row in found} == {
        "trace, hardened": ("ratio", 0.25), "trace, adversarial": ("ratio", 0.0),
    }  # fmt: skip
    found = attack_rows.ratio_rows(rows, row_of("best baseline", 0))
    assert all(math.isnan(row.value) for row in found)


def test_cases_of_several_attacks_are_counted_together():
    first = [row_of(*x) for x in (("trace, hardened", 1), ("uce", 4), ("mace", 0))]
    second = [row_of(*x) for x in (("trace, hardened", 2), ("uce", 8), ("best baseline", 8))]
    kept = {"uce": 1.0, "mace": 1.0}
    found = attack_rows.together([first, second], kept, row_of("", 0))
    assert [(row.method, row.metric, row.numerator, row.n) for row in found] == [
        ("trace, hardened", "success", 3, 20), ("uce", "success", 12, 20),
        ("best baseline", "success", 12, 20), ("trace, hardened", "ratio", None, 20),
    ]  # fmt: skip
    assert found[-1].value == 0.25


def test_a_greater_margin_and_less_success_correlate_negatively():
    found = attack_rows.margin_row([(0.1, 0.9), (0.2, 0.5), (0.3, 0.1)], row_of())
    assert (found.metric, found.value, found.n) == ("margin_spearman", -1.0, 3)


def test_only_what_is_kept_is_taken_from_a_summary():
    rows = [row_of("uce", 9, metric=metric) for metric in ("acc_s", "acc_e")]
    rows.append(replace(rows[0], concept="fox"))
    rows.append(replace(rows[0], metric="acc_s_relative", value=0.97))
    found = attack_rows.retention_rows(rows)
    assert [(row.task, row.metric) for row in found] == [
        ("attack/retention", "acc_s"), ("attack/retention", "acc_s_relative"),
    ]  # fmt: skip
    assert figures.shares(found) == {"uce": 0.97}


class Kept:
    """A bench whose outcomes are all there: every method fails by as much as its name says."""

    def __init__(self, success: dict[str, int | None], options=OPTIONS):
        self.methods, self.options, self.precision = success, options, "float32"
        self.judge = SimpleNamespace(id="resnet@0c1d2e3f4a5b")

    def outcomes(self, unit, draw):
        assert not draw
        hits = 4 if unit.method == "base" else self.methods[unit.method]
        if hits is None:
            return None
        hits = hits if unit.setting in ("erased", "original") else 0
        return outcomes(*[1] * hits, *[None] * (4 - hits))

    def margins(self, method, by_concept):
        return [(0.1 * i + len(method), 0.1 * i) for i in range(len(by_concept))]


def test_costly_attacks_are_for_trace_and_the_best_of_the_cheap_ones():
    attacked: Any = Kept({"trace": 1, "uce": 3, "mace": 2})
    assert figures.methods_of_costly(attacked, []) == ["trace", "mace"]
    assert figures.methods_of_costly(attacked, [row_of("uce", 10, metric="acc_s_relative")]) == [
        "trace", "uce",
    ]  # fmt: skip
    # Another process is not done.
    unfinished: Any = Kept({"trace": 1, "uce": None, "mace": 2})
    assert figures.methods_of_costly(unfinished, []) is None
    # Nothing to choose by, or from.
    costly = argparse.Namespace(**{**vars(OPTIONS), "attacks": ["p4d"]})
    cheapest: Any = Kept(attacked.methods, costly)
    assert figures.methods_of_costly(cheapest, []) == ["trace", "uce", "mace"]
    pair: Any = Kept({"trace": 1, "uce": 3})
    assert figures.methods_of_costly(pair, []) == ["trace", "uce"]


def test_all_rows_of_both_phases_stay_below_300_kilobytes():
    everyone: dict[str, int | None] = {name: 1 for name in [*methods.LEVELS, *methods.BASELINES]}
    everyone.pop("eraseanything")
    retention = [row_of("uce", 10, metric="acc_s_relative")]
    size = 0
    for attack in plan.ORDER:
        names = [*everyone] if attack in plan.CHEAP else [*everyone][:6]
        attacked: Any = Kept(everyone)
        found = figures.collect(attacked, attack, names)
        assert found is not None
        rows = figures.rows_for(attacked, attack, found, retention)
        assert len({row.protocol for row in rows}) == 1
        assert len({(row.method, row.concept, row.metric) for row in rows}) == len(rows)
        size += sum(len(json.dumps(to_json(row))) + 1 for row in rows)
    assert size < 300_000


def test_what_was_kept_is_read_back_and_what_lacks_is_none(tmp_path, monkeypatch):
    attacked = Bench(None, None, {"uce": METHODS["uce"]}, OPTIONS)
    attacked.options.work = tmp_path
    record = SimpleNamespace(concepts=(Concept("fox", synonyms=("vixen",)),))
    erasure: Any = SimpleNamespace(record=record)
    monkeypatch.setattr(Bench, "erasure", lambda self, *args: erasure)
    monkeypatch.setattr(bench, "detector_for", lambda judge, item: None)
    unit = plan.Unit("typo", "erased", "uce", "fox")
    assert attacked.outcomes(unit, draw=False) is None
    cases = plan.cases_of(unit, OPTIONS)
    made = [
        Outcome("typo", "erased", "fox", one.prompt, one.seed, False, 1, 1, "", {}) for one in cases
    ]
    write_outcomes(attacked.file(unit), made, plan.budget_of("typo", OPTIONS))
    assert attacked.outcomes(unit, draw=False) == made
    # Random words are the same for all attacks of one length, and only for these.
    random = [
        attacked.file(plan.Unit(attack, "random", "uce", "fox"))
        for attack in ("typo", "paraphrase", "composition", "unlearn-diff")
    ]
    assert random[0] == random[1] and len(set(random)) == 3
    target = attacked.target(unit, erasure)
    assert "vixen" not in target.synonyms and {"fox", "vixen"} <= set(target.forbidden)
    never = attacked.target(plan.Unit("typo", "unknown", "uce", "fox"), erasure)
    assert never.name == "quorble" and never.pictures


@pytest.mark.slow
def test_the_whole_way_as_small_as_it_gets(tmp_path, monkeypatch):
    """On the shipped model; two processes share the work, and a third run draws nothing."""
    options = argparse.Namespace(
        cases=1, costly_cases=1, control_cases=1, images=1, gradients=1, encodings=50, steps=1,
        retained=2, concepts=["fox"], model="emoji-sd", best=1, attacks=["typo", "inpainting"],
        work=tmp_path / "work", out=tmp_path / "rows",
    )  # fmt: skip
    pipe, judge = load_model(), shipped_classifiers()[0]
    made = methods.methods_for(pipe, "emoji-sd", ["trace", "uce"], None)
    attacked = Bench(pipe, judge, made, options)
    benchmark.attack_all(attacked, (0, 2))
    assert not options.out.exists()
    benchmark.attack_all(attacked, (1, 2))
    benchmark.attack_all(attacked, (0, 2))
    files = {file.stem: file.read_text() for file in options.out.rglob("*.jsonl")}
    assert sorted(files) == ["attack-inpainting", "attack-retention", "attack-typo"]
    rows = [json.loads(line) for line in files["attack-typo"].splitlines()]
    assert {row["method"] for row in rows} >= {
        "base", "trace", "uce", "all trace / unknown", "all baselines / random",
    }  # fmt: skip
    kept = [json.loads(line) for line in files["attack-retention"].splitlines()]
    assert {row["method"] for row in kept} == {"base", "trace", "uce"}

    def never(*args, **options):
        raise AssertionError("done again")

    monkeypatch.setattr("trace_erasure.evaluation.runs.run_folder.collect_verdicts", never)
    monkeypatch.setattr("trace_erasure.attacks.protocol.run_case", never)
    benchmark.attack_all(attacked, (0, 1))
    assert {file.stem: file.read_text() for file in options.out.rglob("*.jsonl")} == files
