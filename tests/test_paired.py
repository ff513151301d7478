"""Paired tests against hand-computed values, and figures over several trainings."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from support.evaluation import verdicts
from trace_erasure.errors import InputError
from trace_erasure.evaluation import SEVERAL_SEEDS, mcnemar, over_seeds, summarise, to_markdown
from trace_erasure.evaluation.metrics.paired import paired


def run(erased: str, kept: str, **changes):
    """Verdicts of one method, a character a picture: 1 where the expected is seen."""
    flags = [("target", flag == "1") for flag in erased] + [("retain", f == "1") for f in kept]
    return verdicts(flags, **changes)


def values(rows):
    return {row.metric: row for row in rows}


@pytest.mark.parametrize(
    ("one", "other", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (8, 2, 112 / 1024), (3, 3, 1.0), (0, 10, 2 / 1024)],
)
def test_mcnemars_p_by_hand_and_by_scipy(one, other, p):
    assert mcnemar(one, other) == pytest.approx(p)
    if one + other:
        assert mcnemar(one, other) == pytest.approx(binomtest(one, one + other).pvalue)
    assert mcnemar(one, other) == mcnemar(other, one)


def test_erased_and_kept_prompts_are_tested_apart():
    trace = run("000001", "1111", method="trace")
    other = run("111101", "1110", method="esd-x")
    found = values(paired(other, trace))
    assert found["paired_erased"].value == pytest.approx(4 / 6)
    assert found["paired_erased"].numerator == 4 and found["paired_erased"].n == 6
    assert found["paired_p_erased"].value == pytest.approx(2 / 16)
    assert found["paired_kept"].value == pytest.approx(-1 / 4)
    assert found["paired_p_kept"].value == 1.0
    assert {row.concept for row in found.values()} == {"mean"}
    same = values(paired(trace, trace))
    assert same["paired_erased"].value == 0 and same["paired_p_erased"].value == 1


def test_pairs_are_those_of_one_training_and_may_not_be_missing():
    trace = [v for seed in (0, 2) for v in run("0", "1", method="trace", seed=seed)]
    later = run("1", "1", method="uce", seed=1)
    with pytest.raises(InputError, match=r"1 pictures of uce.*seed 1 have no counterpart"):
        paired(later, trace)
    found = values(paired(later, [*trace, *run("1", "1", method="trace", seed=1)]))
    assert found["paired_erased"].value == 0
    # A closed form has one training, which stands for all of the others'.
    once = values(paired(later, run("0", "1", method="trace")))
    assert once["paired_erased"].value == 1


def test_several_trainings_make_no_interval_narrower():
    trace = [v for seed in range(3) for v in run("000000", "11", method="trace", seed=seed)]
    seen = ("111110", "111110", "100000")
    other = [v for i, flags in enumerate(seen) for v in run(flags, "11", method="uce", seed=i)]
    single = summarise(other)
    rows = [*single, *paired(other, trace)]
    found = {(row.concept, row.metric): row for row in over_seeds(rows)}
    mean, worst = found["mean", "acc_e"], found["worst", "acc_e"]
    assert mean.value == pytest.approx((5 + 5 + 1) / 18) and worst.value == pytest.approx(5 / 6)
    ends = [row for row in single if row.concept == "mean" and row.metric == "acc_e"]
    assert mean.low == min(row.low for row in ends) and mean.high == max(row.high for row in ends)
    assert mean.seed == SEVERAL_SEEDS
    p = found["mean", "paired_p_erased"]  # 2/32 twice and 1: twice the median
    assert p.value == pytest.approx(4 / 32) and math.isnan(p.low)
    text = to_markdown(list(found.values()), metrics=["h_o", "paired_erased", "paired_p_erased"])
    assert "12.5 (n 6)" in text
    one = over_seeds(single[:1])
    assert one == single[:1]
    unknown = [replace(row, value=math.nan) for row in ends]
    assert math.isnan(over_seeds(unknown)[0].value)
