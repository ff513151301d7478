"""Distances between two sets of features: Fréchet's between Gaussians, and the kernel distance."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.statistics import Interval

FOLDS = 10
"""Groups that the jackknife leaves out, one after the other."""
BLOCK = 1000
"""Most rows of one block of the kernel distance."""


def gaussian(features: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Mean and unbiased covariance of features, in float64."""
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def frechet_distance(
    mean: Float[Tensor, " d"],
    covariance: Float[Tensor, "d d"],
    mean2: Float[Tensor, " d"],
    covariance2: Float[Tensor, "d d"],
) -> float:
    """|m₁ − m₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^½), squared 2-Wasserstein distance of two Gaussians.

    (C₁ C₂)^½ has the trace of (C₁^½ C₂ C₁^½)^½, which is symmetric, so that singular covariances
    of few pictures need no regularisation (Dowson and Landau 1982; Heusel et al. 2017).
    """
    mean, covariance, mean2, covariance2 = (
        tensor.double() for tensor in (mean, covariance, mean2, covariance2)
    )
    values, vectors = linalg.eigh(covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    traces = covariance.trace() + covariance2.trace()
    return max(0.0, ((mean - mean2).square().sum() + traces - 2 * cross).item())


def frechet(features: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]) -> float:
    """Fréchet distance of the Gaussians of two sets of features; ``nan`` of fewer than two."""
    if min(len(features), len(reference)) < 2:
        return math.nan
    return frechet_distance(*gaussian(features), *gaussian(reference))


def kernel_distance(features: Float[Tensor, "n d"], reference: Float[Tensor, "m d"]) -> float:
    """Unbiased MMD² under the kernel (x·y / d + 1)³ (Bińkowski et al. 2018).

    It is the mean over disjoint blocks of at most 1000 rows, so that 30,000 pictures fit into
    memory. Rows are taken as they stand. ``nan`` of fewer than two.
    """
    n = min(len(features), len(reference))
    if n < 2:
        return math.nan
    blocks = max(1, n // BLOCK)
    pairs = zip(
        features.double().tensor_split(blocks), reference.double().tensor_split(blocks), strict=True
    )
    return sum(_mmd(x, y) for x, y in pairs) / blocks


def _kernel(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _mmd(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> float:
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    n, m = len(x), len(y)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return (within - 2 * xy.mean()).item()


def jackknife_interval(
    distance: Callable[[Tensor, Tensor], float],
    features: Float[Tensor, "n d"],
    reference: Float[Tensor, "m d"],
) -> Interval:
    """95 % interval of a distance over the features: the delete-a-group jackknife, ten groups.

    Resampling with replacement repeats rows, which makes the Gaussian of a Fréchet distance
    narrower; leaving some out does not. ``nan`` of fewer than forty.
    """
    n = len(features)
    if n < 4 * FOLDS:
        return math.nan, math.nan
    value = distance(features, reference)
    order = torch.arange(n) % FOLDS
    without = torch.tensor([distance(features[order != fold], reference) for fold in range(FOLDS)])
    error = math.sqrt((FOLDS - 1) / FOLDS * (without - without.mean()).square().sum().item())
    return value - 1.96 * error, value + 1.96 * error
