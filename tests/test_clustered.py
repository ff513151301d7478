"""Intervals and tests whose unit is the concept, against exact answers and simulations."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from support.evaluation import verdicts
from trace_erasure.evaluation.metrics.clustered import (
    clustered_rows,
    paired_by_concept,
    replaced,
)
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.math import clustered, statistics


def by_concept(flags: dict[str, str], group: str = "target", **changes):
    """Verdicts of several concepts, a character a picture."""
    found = []
    for concept, seen in flags.items():
        found += verdicts([(group, flag == "1") for flag in seen], concept=concept, **changes)
    return found


def figure(rows, metric: str):
    (found,) = [row for row in rows if (row.metric, row.concept) == (metric, "mean")]
    return found


def test_the_spread_is_that_of_concepts_however_many_pictures_each_has():
    """Six concepts whose pictures agree: the error is that of six numbers."""
    values = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 1.0]).repeat_interleave(100)[None]
    concepts = [str(i) for i in range(6) for _ in range(100)]
    prompts = [str(i % 10) for i in range(600)]
    spread = clustered.nested_means(values, concepts, prompts)[0].std()
    assert spread == pytest.approx(math.sqrt(0.25 / 6), rel=0.05)
    flat = statistics.bootstrap_means(values[0], range(600)).std()
    assert spread > 9 * flat


def test_within_one_concept_prompts_are_drawn_whole():
    by_prompt = torch.tensor([float(i % 2) for i in range(10)]).repeat_interleave(10)[None]
    prompts = [str(i // 10) for i in range(100)]
    means = clustered.nested_means(by_prompt, ["one"] * 100, prompts)[0]
    assert means.std() == pytest.approx(math.sqrt(0.25 / 10), rel=0.05)


def test_series_share_their_draws():
    values = torch.rand(60, generator=torch.Generator().manual_seed(0))
    both = torch.stack([values, values / 2])
    concepts = [str(i // 10) for i in range(60)]
    one, half = clustered.nested_means(both, concepts, [str(i % 5) for i in range(60)])
    torch.testing.assert_close(half, one / 2)


def test_concepts_weigh_the_same():
    means = clustered.concept_means(torch.tensor([[1.0, 1.0, 1.0, 0.0]]), ["a", "a", "a", "b"])
    assert means.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    "differences",
    [[1.0, 2.0, 3.0], [0.5, -0.2, 0.1, 0.4], [0.0, 0.0], [0.3, 0.3, 0.3, 0.3, 0.3, 0.3]],
)
def test_the_sign_flip_is_exact(differences):
    flips = [sum(s * d for s, d in zip(signs, differences, strict=True))
             for signs in product((1, -1), repeat=len(differences))]  # fmt: skip
    observed = abs(sum(differences))
    p = sum(abs(total) >= observed - 1e-9 for total in flips) / len(flips)
    assert clustered.sign_flip(torch.tensor(differences)) == pytest.approx(p)


def test_six_concepts_carry_no_p_below_one_in_thirty_two():
    assert clustered.sign_flip(torch.ones(6)) == pytest.approx(2 / 64)
    assert clustered.sign_flip(torch.zeros(6)) == 1.0
    with pytest.raises(ValueError, match="17 differences"):
        clustered.sign_flip(torch.ones(17))


def test_cohens_h_by_hand():
    assert clustered.cohen_h(1.0, 0.0) == pytest.approx(math.pi)
    assert clustered.cohen_h(0.25, 0.25) == 0
    assert clustered.cohen_h(0.75, 0.5) == pytest.approx(math.pi / 6)


def test_a_rate_of_nothing_seen_is_not_known_to_be_nothing():
    mine = by_concept({str(i): "0" * 48 for i in range(6)}, method="trace")
    base = by_concept({str(i): "1" * 36 + "0" * 12 for i in range(6)}, method="base")
    rows = clustered_rows(mine, base)
    rate = figure(rows, "acc_e")
    assert (rate.value, rate.n, rate.low) == (0.0, 6, 0.0)
    assert rate.high == statistics.wilson_interval(0, 288)[1]
    share = figure(rows, "acc_e_relative")
    assert share.value == 0 and share.high == pytest.approx(rate.high / 0.75)


def test_shares_are_of_the_original_s_mean_rate():
    """A concept that the original never shows spoils nothing; one that is nowhere shown does."""
    base = by_concept({"a": "1100", "b": "0000"}, "pair", method="base")
    mine = by_concept({"a": "1000", "b": "0000"}, "pair", method="uce")
    share = figure(clustered_rows(mine, base), "pair_of_base")
    assert share.value == 0.5 and share.low <= 0.5 <= share.high
    nowhere = by_concept({"a": "0000"}, "pair", method="base")
    lost = clustered_rows(by_concept({"a": "1000"}, "pair", method="uce"), nowhere)
    assert math.isnan(figure(lost, "pair_of_base").value)


def test_tests_have_the_concept_as_their_unit():
    trace = by_concept({str(i): "0000" for i in range(6)}, method="trace")
    other = by_concept({str(i): "1111" for i in range(6)}, method="uce")
    rows = paired_by_concept(other, trace)
    assert figure(rows, "paired_q_erased").value == pytest.approx(2 / 64)
    assert figure(rows, "paired_q_erased").numerator == 6
    assert figure(rows, "effect_erased").value == pytest.approx(math.pi)
    assert figure(rows, "paired_erased").value == 1.0
    one = by_concept({"a": "1111", **{str(i): "0000" for i in range(5)}}, method="uce")
    same = by_concept({"a": "0000", **{str(i): "0000" for i in range(5)}}, method="trace")
    found = paired_by_concept(one, same)
    # Four pictures of one concept are no evidence about others.
    assert figure(found, "paired_q_erased").value == 1.0
    assert figure(found, "paired_erased").low == 0.0


def test_better_rows_take_the_place_of_the_same_figures():
    mine = by_concept({"a": "1100", "b": "0011"}, method="trace")
    plain, better = summarise(mine), clustered_rows(mine, mine)
    rows = replaced(plain, better)
    keys = [(row.concept, row.metric) for row in rows]
    assert len(keys) == len(set(keys))
    assert figure(rows, "acc_e") == figure(better, "acc_e")
    assert [row for row in rows if row.concept == "a"] == [
        row for row in plain if row.concept == "a"
    ]
