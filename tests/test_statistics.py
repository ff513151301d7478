import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from trace_erasure.math.statistics import (
    bootstrap_interval,
    bootstrap_means,
    h_c,
    h_o,
    harmonic_mean,
    rate,
    rate_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("acc_e", "acc_s", "acc_g", "expected"),
    [
        (9.06, 95.39, 10.03, 92.03),  # MACE, airplane
        (40.32, 98.79, 49.83, 64.09),  # UCE, airplane
    ],
)
def test_h_o_gives_the_published_figures(acc_e, acc_s, acc_g, expected):
    # The published legs are rounded, so the last digit of H_o is not theirs to decide.
    assert 100 * h_o(acc_e / 100, acc_s / 100, acc_g / 100) == pytest.approx(expected, abs=0.02)


def test_a_failed_leg_fails_the_harmonic_mean():
    assert h_o(1.0, 1.0, 0.0) == 0
    assert h_c(0.0, 0.0) == 0
    assert math.isnan(h_o(math.nan, 1.0, 0.0))
    assert harmonic_mean(0.5, 1.0) == pytest.approx(2 / 3)


def test_a_rate_of_nothing_is_not_a_number():
    assert math.isnan(rate(0, 0))
    assert all(map(math.isnan, wilson_interval(0, 0)))
    assert all(map(math.isnan, rate_interval(torch.empty(0), [])))
    assert all(map(math.isnan, bootstrap_interval(torch.empty(0), [])))


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy_and_holds_the_rate(counts):
    k, n = counts
    expected = binomtest(k, n).proportion_ci(method="wilson")
    low, high = wilson_interval(k, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert low <= k / n <= high


def test_the_bootstrap_draws_whole_groups():
    """Ten pictures of each of ten prompts that agree are worth ten pictures, not a hundred."""
    by_prompt = torch.tensor([float(i % 2) for i in range(10)])
    values, groups = by_prompt.repeat_interleave(10), [i // 10 for i in range(100)]
    clustered = bootstrap_means(values, groups).std()
    assert clustered == pytest.approx(math.sqrt(0.25 / 10), rel=0.05)
    assert bootstrap_means(values, range(100)).std() == pytest.approx(0.05, rel=0.05)
    low, high = rate_interval(values, groups)
    wilson = wilson_interval(50, 100)
    assert low < wilson[0] and high > wilson[1]


def test_an_interval_at_zero_still_has_width():
    low, high = rate_interval(torch.zeros(100), [i // 10 for i in range(100)])
    assert low == 0
    assert high == pytest.approx(0.037, abs=0.001)
