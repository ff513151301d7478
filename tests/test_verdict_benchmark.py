"""The verdict's benchmark: what is erased on purpose, what pictures say, how limits are fitted."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from random import Random

import pytest
import torch

from benchmarks.verdicts import bench
from benchmarks.verdicts.cases import cases, held_apart, typo
from benchmarks.verdicts.fit import FIGURES, Judged, counts, fit
from benchmarks.verdicts.truth import (
    NAMED,
    OTHERS,
    Truth,
    compare,
    named_items,
    other_items,
    others_of,
)
from trace_erasure.math.verdict import Limits


def test_the_list_is_the_same_in_every_run_and_has_every_sort():
    first, second = cases(), cases()
    assert [case.title for case in first] == [case.title for case in second]
    assert len({case.title for case in first}) == len(first) > 200
    some = first[: bench.CASES]
    assert len(some) == bench.CASES
    assert {case.sort for case in some} == {case.sort for case in first}


def test_half_of_the_concepts_are_kept_apart():
    keys = {case.key for case in cases()}
    apart = [key for key in keys if held_apart(key)]
    assert 0.4 < len(apart) / len(keys) < 0.6


def test_typos_are_other_words():
    random = Random(3)
    made = {typo("fox", random) for _ in range(50)}
    assert "fox" not in made
    assert {"foxx", "ox", "fx"} & made


@pytest.mark.parametrize("case", cases()[:60], ids=lambda case: case.title)
def test_pictures_name_what_was_meant_and_others_do_not(case):
    named, others = named_items(case) if case.meant else [], others_of(case)
    assert len(named) in (0, NAMED)
    assert len(others) == OTHERS
    assert not {label for item in others for label in item.labels} & set(case.meant)
    assert {label for item in named for label in item.labels} == set(case.meant)


def test_others_are_everything_that_the_model_draws():
    labels = {label for item in other_items() for label in item.labels}
    assert {"subject/fox", "style/ink", "subject/Mira Solberg"} < labels


@pytest.mark.parametrize(
    "named, others, word",
    [
        ((0, 16), (48, 48), "good"),
        ((0, 16), (47, 48), "good"),
        ((1, 16), (48, 48), "weak"),  # 6 %
        ((0, 16), (46, 48), "weak"),  # 96 %
        ((8, 16), (48, 48), "weak"),  # half is not above half
        ((9, 16), (48, 48), "failed"),
        ((0, 16), (43, 48), "failed"),
        ((0, 0), (48, 48), "good"),  # what was meant could never be drawn
    ],
)
def test_the_truth(named, others, word):
    assert Truth(*named, *others).word == word


def test_readings_are_counted_where_the_original_was_right():
    before = torch.tensor([[True, True], [True, False]])
    after = torch.tensor([[True, False], [True, True]])
    assert compare((before, after), (before, before)) == Truth(2, 3, 3, 3)


def judged(word, **figures):
    return Judged({**dict.fromkeys(FIGURES, 0.0), **figures}, word)


def test_limits_part_good_from_bad_and_failed_from_the_rest():
    listed = [
        *(judged("good", unreached=x) for x in (0.0, 0.1, 0.2)),
        *(judged("weak", collateral=x) for x in (0.5, 0.6)),
        *(judged("failed", unreached=x) for x in (0.8, 0.9, 1.0)),
    ]
    limits = fit(listed)
    assert limits == {"unreached": Limits(0.5, 0.5), "collateral": Limits(0.25, math.inf)}
    found = counts(listed, limits)
    assert found["good"] == {"good": 3, "weak": 0, "failed": 0}
    assert found["weak"] == {"good": 0, "weak": 2, "failed": 0}
    assert found["failed"] == {"good": 0, "weak": 0, "failed": 3}


def test_one_that_no_figure_tells_from_the_good_costs_none_of_them():
    listed = [judged("good", residual=0.1 * i) for i in range(5)] + [judged("weak", residual=0.1)]
    assert fit(listed) == {}


def test_two_failures_are_no_limit():
    listed = [judged("good")] * 5 + [judged("failed", residual=1.0)] * 2
    assert fit(listed)["residual"].failed == math.inf


def test_the_report_writes_limits_rows_and_cases(tmp_path, monkeypatch):
    table = tmp_path / "limits.json"
    table.write_text('{"limits": {"ridge": {"residual": {"good": 1.0}}}}')
    monkeypatch.setattr(bench, "TABLE", table)
    some = cases()[:40]
    found = []
    for i, case in enumerate(some):
        bad = i % 4 == 0
        figures = {**dict.fromkeys(FIGURES, 0.0), "unreached": float(bad)}
        record = {
            "spec": {"closed_form": {"mode": "equality"}},
            "verdict": {"figures": figures},
        }
        truth = dict(named=16 * bad, named_before=16, others=48, others_before=48)
        found.append({"title": case.title, "key": case.key, "record": record, "truth": truth})
    options = Namespace(model="emoji-sd", out=tmp_path)
    bench.write_cases([*found, {"title": "x", "key": "x", "refused": "no"}], options)
    bench.write_cases(found[:3], options)  # the same cases again take their own place
    bench.report(options)
    written = json.loads(table.read_text())
    assert written["limits"] == {
        "ridge": {"residual": {"good": 1.0}},
        "equality": {"unreached": {"good": 0.5, "failed": 0.5}},
    }
    made = written["made"]["equality"]
    assert made["held_out"] == sum(held_apart(case.key) for case in some)
    assert made["held_out"] + made["calibration"] == 40
    rows = [json.loads(x) for x in (tmp_path / "emoji-sd/verdict.jsonl").read_text().splitlines()]
    right = {(row["task"], row["method"]): row["value"] for row in rows if row["metric"] == "right"}
    assert right["verdict/held out", "good"] == right["verdict/held out", "failed"] == 1
    assert right["verdict/held out", "weak"] is None  # never said
