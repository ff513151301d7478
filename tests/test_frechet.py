"""Distances between sets of features, against closed forms and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from trace_erasure.math.frechet import (
    frechet,
    frechet_distance,
    gaussian,
    jackknife_interval,
    kernel_distance,
)

EYE = torch.eye(4, dtype=torch.float64)


def normal(n, d=6, seed=0, scale=1.0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(n, d, generator=generator, dtype=torch.float64) + shift


def test_known_gaussians():
    zero, one = torch.zeros(4), torch.ones(4)
    assert frechet_distance(zero, EYE, one, EYE) == pytest.approx(4, abs=1e-12)
    assert frechet_distance(one, EYE, one, EYE) == pytest.approx(0, abs=1e-12)
    # Of axis-aligned Gaussians it is the distance of means and of standard deviations.
    a, b = torch.tensor([1.0, 2, 3, 0]), torch.tensor([2.0, 2, 0, 5])
    found = frechet_distance(a, torch.diag(a**2), b, torch.diag(b**2))
    assert found == pytest.approx(2 * ((a - b) ** 2).sum().item(), abs=1e-9)


def test_the_trace_is_that_of_scipys_matrix_root():
    one, two = gaussian(normal(50)), gaussian(normal(60, seed=1, scale=2, shift=0.3))
    root = np.trace(np.real(np.asarray(sqrtm((one[1] @ two[1]).numpy()))))
    mean = (one[0] - two[0]).square().sum()
    expected = mean + one[1].trace() + two[1].trace() - 2 * root
    assert frechet_distance(*one, *two) == pytest.approx(expected.item(), rel=1e-9)
    assert frechet_distance(*two, *one) == pytest.approx(expected.item(), rel=1e-9)


def test_few_pictures_have_singular_covariances_and_still_a_distance():
    few = normal(5, d=32)
    assert frechet(few, few) == pytest.approx(0, abs=1e-5)
    assert frechet(few, few + 1) == pytest.approx(32, abs=1e-5)
    assert math.isnan(frechet(few[:1], few)) and math.isnan(kernel_distance(few[:1], few))


def test_the_kernel_distance_is_its_definition_and_unbiased():
    x, y = normal(7, d=3), normal(6, d=3, seed=1)
    k = lambda a, b: (float(a @ b) / 3 + 1) ** 3  # noqa: E731
    xx = sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 42
    yy = sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 30
    xy = sum(k(a, b) for a in x for b in y) / 42
    assert kernel_distance(x, y) == pytest.approx(xx + yy - 2 * xy, rel=1e-9)
    same = [kernel_distance(normal(20, seed=2 * s), normal(20, seed=2 * s + 1)) for s in range(60)]
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(60)
    # Blocks average to about what one block gives.
    big, other = normal(2400, d=3), normal(2400, d=3, seed=1, shift=0.5)
    assert kernel_distance(big, other) == pytest.approx(
        kernel_distance(big[:999], other[:999]), rel=0.2
    )


def test_the_interval_covers_what_more_pictures_give():
    reference, truth = normal(4000, seed=9), 6 * 0.25
    hits = 0
    for seed in range(20):
        some = normal(400, seed=seed, shift=0.5)
        low, high = jackknife_interval(frechet, some, reference)
        assert low < frechet(some, reference) < high
        hits += low < truth + 0.05 < high
    assert hits >= 15
    assert all(map(math.isnan, jackknife_interval(frechet, normal(39), reference)))
