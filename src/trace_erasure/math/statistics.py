"""Rates with honest intervals, and the aggregates that erasure benchmarks use.

Rates are fractions in 0..1. A rate of nothing is ``nan``, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

Interval = tuple[float, float]


def rate(successes: int, n: int) -> float:
    """``successes / n``; ``nan`` when nothing was counted."""
    return successes / n if n else math.nan


def wilson_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a rate (Wilson 1927); ``(nan, nan)`` when ``n`` is 0."""
    if n == 0:
        return math.nan, math.nan
    z = normal_quantile(level)
    p, shrink = successes / n, 1 + z**2 / n
    centre = (p + z**2 / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def bootstrap_means(
    values: Shaped[Tensor, " n"], groups: Sequence[Hashable], *, repeats: int = 2000, seed: int = 0
) -> Float[Tensor, " repeats"]:
    """Means of resamples that draw whole groups, float64.

    Pictures of one prompt are not independent, so the prompt is what is drawn. Equal ``seed`` and
    equal groups give equal draws, so that two models can be compared pair by pair.
    """
    index = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    if not index:
        return torch.full((repeats,), math.nan, dtype=torch.float64)
    where = torch.tensor([index[group] for group in groups])
    values = values.double()
    sums = torch.zeros(len(index), dtype=torch.float64).index_add_(0, where, values)
    counts = torch.zeros_like(sums).index_add_(0, where, torch.ones_like(values))
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(len(index), (repeats, len(index)), generator=generator)
    return sums[draws].sum(1) / counts[draws].sum(1)


def percentile_interval(replicates: Float[Tensor, " n"], level: float = 0.95) -> Interval:
    """The central ``level`` of bootstrap replicates; ``nan`` if any replicate is."""
    tail = (1 - level) / 2
    ends = torch.quantile(replicates.double(), torch.tensor([tail, 1 - tail], dtype=torch.float64))
    return ends[0].item(), ends[1].item()


def bootstrap_interval(
    values: Shaped[Tensor, " n"],
    groups: Sequence[Hashable],
    *,
    level: float = 0.95,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile interval of the mean of ``values`` when whole groups are resampled."""
    return percentile_interval(bootstrap_means(values, groups, repeats=repeats, seed=seed), level)


def rate_interval(
    hits: Shaped[Tensor, " n"], groups: Sequence[Hashable], level: float = 0.95
) -> Interval:
    """The wider of Wilson's interval and the bootstrap by group, end by end.

    Wilson ignores that pictures of one prompt resemble each other; the bootstrap has no width at
    0 and 1. Neither fault survives the hull.
    """
    low, high = wilson_interval(int(hits.sum()), len(hits), level)
    if len(hits) == 0:
        return low, high
    lower, upper = bootstrap_interval(hits, groups, level=level)
    return min(low, lower), max(high, upper)


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def normal_quantile(level: float) -> float:
    """z such that a standard normal number lies within ±z with probability ``level``."""
    return NormalDist().inv_cdf(0.5 + level / 2)


def student_quantile(level: float, freedom: int) -> float:
    """Two-sided quantile of Student's t (Hill 1970; within 1 % from 4 degrees of freedom on)."""
    z = normal_quantile(level)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def mean_estimate(values: Float[Tensor, " n"], level: float = 0.95) -> Estimate:
    """Student's interval of the mean of independent, non-negative ``values``."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, 0.0, math.inf)
    half = student_quantile(level, len(values) - 1) * float(values.std()) / len(values) ** 0.5
    return Estimate(mean, max(0.0, mean - half), mean + half)


def harmonic_mean(*values: float) -> float:
    """Harmonic mean of non-negative values: 0 if one is 0, ``nan`` if one is ``nan``."""
    if any(math.isnan(value) for value in values):
        return math.nan
    if any(value == 0 for value in values):
        return 0.0
    return len(values) / sum(1 / value for value in values)


def h_o(acc_e: float, acc_s: float, acc_g: float) -> float:
    """MACE's object score, 3 / ((1−Acc_e)⁻¹ + Acc_s⁻¹ + (1−Acc_g)⁻¹) (Lu et al. 2024)."""
    return harmonic_mean(1 - acc_e, acc_s, 1 - acc_g)


def h_c(acc_e: float, acc_s: float) -> float:
    """MACE's celebrity score, 2 / ((1−Acc_e)⁻¹ + Acc_s⁻¹)."""
    return harmonic_mean(1 - acc_e, acc_s)
