"""Means over concepts when pictures come in concepts and in prompts, neither of them independent.

A concept has a few prompts, and a prompt a few pictures. What is to be said of *other* concepts
rests on the number of concepts, whatever the number of pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math.statistics import Interval, percentile_interval, wilson_interval

MOST_SIGNS = 16
"""Concepts up to which all signs are tried; the number of trials doubles with each."""


def nested_means(
    series: Float[Tensor, "m n"],
    concepts: Sequence[str],
    prompts: Sequence[str],
    *,
    repeats: int = 2000,
    seed: int = 0,
) -> Float[Tensor, "m repeats"]:
    """Bootstrap means of several series: concepts are drawn, then prompts of each, float64.

    Each concept weighs the same, whatever its number of pictures. All series share the draws, so
    that their differences and ratios are those of equal pictures.

    Args:
        series: one value a picture in every row.
        concepts, prompts: of each picture; prompts are told apart within a concept.
    """
    generator = torch.Generator().manual_seed(seed)
    names = list(dict.fromkeys(concepts))
    slots = len(names)
    drawn = torch.randint(slots, (repeats, slots), generator=generator)
    by_concept: list[Tensor] = []
    for name in names:
        own = [i for i, concept in enumerate(concepts) if concept == name]
        sums, counts = _totals(series[:, own], [prompts[i] for i in own])
        draws = torch.randint(len(counts), (repeats, slots, len(counts)), generator=generator)
        by_concept.append(sums[:, draws].sum(-1) / counts[draws].sum(-1))
    means = torch.stack(by_concept)  # (concepts, m, repeats, slots)
    chosen = drawn[None, None].expand(1, len(series), repeats, slots)
    return means.gather(0, chosen)[0].mean(-1)


def concept_means(
    series: Float[Tensor, "m n"], concepts: Sequence[str]
) -> Float[Tensor, "m concepts"]:
    """The mean of each series in each concept, float64, in the order in which they appear."""
    sums, counts = _totals(series, concepts)
    return sums / counts


def _totals(
    series: Float[Tensor, "m n"], labels: Sequence[str]
) -> tuple[Float[Tensor, "m labels"], Float[Tensor, " labels"]]:
    """Sums of each series and numbers of values by label, float64, in the order of appearance."""
    index = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    where = torch.tensor([index[label] for label in labels])
    sums = torch.zeros(len(series), len(index), dtype=torch.float64)
    sums.index_add_(1, where, series.double())
    return sums, torch.bincount(where, minlength=len(index)).double()


def clustered_rate_interval(
    hits: Float[Tensor, " n"], concepts: Sequence[str], prompts: Sequence[str]
) -> Interval:
    """The wider of Wilson's interval over pictures and the nested bootstrap, end by end.

    The bootstrap has no width where all is seen or nothing; Wilson knows nothing of clusters.
    """
    low, high = wilson_interval(int(hits.sum()), len(hits))
    lower, upper = percentile_interval(nested_means(hits[None], concepts, prompts)[0])
    return min(low, lower), max(high, upper)


def sign_flip(differences: Float[Tensor, " k"]) -> float:
    """Two-sided p of the mean of ``k`` independent differences, were both signs equally likely.

    Exact, over all 2^k signs: with k concepts no p is below 2^(1−k). 1 where nothing differs.

    Raises:
        ValueError: there are more than ``MOST_SIGNS`` differences.
    """
    k = len(differences)
    if k > MOST_SIGNS:
        raise ValueError(f"{k} differences; at most {MOST_SIGNS} are tried")
    bits = torch.arange(2**k)[:, None] >> torch.arange(k) & 1
    sums = ((1 - 2 * bits).double() @ differences.double()).abs()
    observed = float(differences.double().sum().abs())
    return float((sums >= observed - 1e-12).double().mean())


def cohen_h(rate: float, other: float) -> float:
    """Cohen's h, 2 asin √p − 2 asin √q: 0.2 is small, 0.5 medium, 0.8 large (Cohen 1988).

    >>> round(cohen_h(0.5, 0.0), 3)
    1.571
    """
    return 2 * math.asin(math.sqrt(rate)) - 2 * math.asin(math.sqrt(other))
