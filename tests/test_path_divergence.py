"""Path divergence where everything is known: diffusion of Gaussian data."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from trace_erasure.math.parameterization import PREDICTIONS, NoisePoint
from trace_erasure.math.path_divergence import SamplerStep, detector_bound, path_divergence
from trace_erasure.math.statistics import mean_estimate, student_quantile

D = 3


def points(prediction: str, levels: list[float]) -> list[NoisePoint]:
    found = []
    for level in levels:
        if prediction == "flow":
            alpha, sigma = 1 - level, level
        else:
            length = math.hypot(level, 1 - level)
            alpha, sigma = (1 - level) / length, level / length
        found.append(NoisePoint.of(prediction, *torch.tensor([alpha, sigma], dtype=torch.float64)))
    return found


def chain(prediction: str, count: int = 8, end: float = 0.05) -> list[SamplerStep]:
    places = points(prediction, torch.linspace(0.98, end, count + 1).tolist())
    return [SamplerStep(a, b, 1.0) for a, b in pairwise(places)]


class Gaussian:
    """The best possible network for data N(mean, spread²) in every coordinate."""

    def __init__(self, steps: list[SamplerStep], mean: float, spread: float) -> None:
        self.steps, self.mean, self.spread = steps, mean, spread

    def __call__(self, x: Tensor, number: int) -> Tensor:
        path = self.steps[number].here
        variance = path.alpha**2 * self.spread**2 + path.sigma**2
        x0 = self.mean + path.alpha * self.spread**2 / variance * (x - path.alpha * self.mean)
        noise = (x - path.alpha * x0) / path.sigma
        return path.a * x0 + path.b * noise

    def law(self) -> tuple[Tensor, Tensor]:
        """Mean and covariance of a whole path, one coordinate, by linear algebra alone."""
        n = len(self.steps)
        mean, rows = [torch.zeros(1, dtype=torch.float64)], [torch.eye(n + 1)[0].double()]
        zero, one = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
        for i, step in enumerate(self.steps):
            shift = step.mean(zero, self(zero, i))[0]
            slope = step.mean(one, self(one, i))[0] - shift
            mean.append(slope * mean[-1] + shift)
            rows.append(slope * rows[-1] + step.deviation * torch.eye(n + 1)[i + 1].double())
        factor = torch.stack(rows)
        return torch.cat(mean), factor @ factor.mT


def gaussian_kl(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    (m1, c1), (m2, c2) = first, second
    solved = torch.linalg.solve(c2, c1)
    quadratic = (m2 - m1) @ torch.linalg.solve(c2, m2 - m1)
    logs = torch.linalg.slogdet(c2).logabsdet - torch.linalg.slogdet(c1).logabsdet
    return float(0.5 * (solved.trace() + quadratic - len(m1) + logs))


def estimate(
    steps: list[SamplerStep], first: Gaussian, second: Gaussian, n: int, seed: int
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)

    def noise() -> Tensor:
        return torch.randn(n, D, generator=generator, dtype=torch.float64)

    return path_divergence(steps, first, second, noise(), noise)


@pytest.mark.slow
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_the_interval_covers_the_known_divergence(prediction):
    """KL of the joint laws, from covariances, is within the interval in 95 % of repeats."""
    steps = chain(prediction)
    first, second = Gaussian(steps, 0.3, 1.0), Gaussian(steps, -0.2, 0.6)
    known = D * gaussian_kl(first.law(), second.law())
    repeats = 300
    inside = 0
    for seed in range(repeats):
        found = mean_estimate(estimate(steps, first, second, 24, seed).sum(1))
        inside += found.low <= known <= found.high
    # Three standard errors of a rate of 95 %, and a little for the skewness of squares.
    assert 0.90 <= inside / repeats <= 0.99


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_what_comes_out_is_no_further_apart_than_the_paths(prediction):
    steps = chain(prediction)
    first, second = Gaussian(steps, 0.3, 1.0), Gaussian(steps, -0.2, 0.6)
    (m1, c1), (m2, c2) = first.law(), second.law()
    ends = gaussian_kl((m1[-1:], c1[-1:, -1:]), (m2[-1:], c2[-1:, -1:]))
    assert 0 < ends <= gaussian_kl((m1, c1), (m2, c2))
    # Any threshold detector on the result keeps to the bound.
    x = torch.linspace(-4, 4, 200, dtype=torch.float64)
    rates = [torch.special.ndtr((x - m[-1]) / c[-1, -1].sqrt()) for m, c in ((m1, c1), (m2, c2))]
    assert float((rates[0] - rates[1]).abs().max()) <= detector_bound(ends)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(PREDICTIONS), st.floats(0.1, 0.95), st.floats(0.05, 0.9), st.integers(0, 99))
def test_a_step_s_divergence_is_the_rise_of_the_signal_to_noise_ratio(prediction, high, part, seed):
    here, there = points(prediction, [high, high * part])
    generator = torch.Generator().manual_seed(seed)
    x, m, other = torch.randn(3, 2, 5, generator=generator, dtype=torch.float64)
    step = SamplerStep(here, there, 1.0)
    apart = here.split(x, m)[0] - here.split(x, other)[0]
    ratios = [(p.alpha / p.sigma) ** 2 for p in (here, there)]
    expected = 0.5 * (ratios[1] - ratios[0]) * apart.square().sum(1)
    torch.testing.assert_close(step.divergence(m - other), expected, rtol=1e-8, atol=1e-12)
    gap = step.mean(x, m) - step.mean(x, other)
    torch.testing.assert_close(gap.abs(), step.gain * (m - other).abs())


def test_equal_models_have_no_divergence_and_noiseless_steps_an_infinite_one():
    steps = chain("epsilon")
    model = Gaussian(steps, 0.3, 1.0)
    assert float(estimate(steps, model, model, 4, 0).abs().max()) == 0
    still = SamplerStep(steps[0].here, steps[0].there, 0.0)
    difference = torch.tensor([[0.0], [1.0]])
    assert still.divergence(difference).tolist() == [0.0, math.inf]


def test_bounds_and_quantiles():
    assert detector_bound(0) == 0
    assert detector_bound(0.02) == pytest.approx(0.1)  # Pinsker is the smaller one here
    assert detector_bound(50) == pytest.approx(1)
    assert detector_bound(math.inf) == 1
    table = {5: 2.571, 15: 2.131, 30: 2.042, 200: 1.972}
    for freedom, value in table.items():
        assert student_quantile(0.95, freedom) == pytest.approx(value, rel=3e-3)
    assert mean_estimate(torch.tensor([1.0])).high == math.inf
