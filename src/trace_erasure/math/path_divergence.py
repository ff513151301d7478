"""Samplers as Gaussian steps, and how far apart two models' whole sampling paths are.

Both models share the sampler, so that a step's two laws are Gaussians of one variance whose means
differ by κ Δm. The chain rule of the Kullback-Leibler divergence then gives

    KL(paths of the first ‖ paths of the second) = Σ_steps κ² E‖Δm‖² / (2 σ̃²),

the expectation along the first model's own paths. At η = 1 the factor of each step is the rise of
the signal-to-noise ratio, ½ (SNR′ − SNR) E‖Δx₀‖², whatever the network predicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.parameterization import NoisePoint


@dataclass(frozen=True)
class SamplerStep:
    """One sampler step from the noise level ``here`` to the cleaner ``there`` (scalars).

    x′ = α′ x₀ + √(σ′² − σ̃²) ε + σ̃ z with fresh noise z. ``eta`` 0 is the deterministic sampler
    (DDIM; Euler for a rectified flow), 1 the ancestral one: the same marginals in both.
    """

    here: NoisePoint
    there: NoisePoint
    eta: float = 0.0

    @property
    def deviation(self) -> Tensor:
        """σ̃, the standard deviation of the fresh noise."""
        here, there = self.here, self.there
        if self.eta == 0:
            return torch.zeros_like(here.sigma)
        ratio = here.alpha / there.alpha
        added = (here.sigma.square() - ratio.square() * there.sigma.square()).clamp(min=0)
        return self.eta * there.sigma / here.sigma * added.sqrt()

    @property
    def _kept(self) -> Tensor:
        return (self.there.sigma.square() - self.deviation.square()).clamp(min=0).sqrt()

    @property
    def gain(self) -> Tensor:
        """κ: how far the mean moves per unit of the network's output."""
        here = self.here
        d = here.alpha * here.b - here.sigma * here.a
        return ((self._kept * here.alpha - self.there.alpha * here.sigma) / d).abs()

    def mean(self, x: Tensor, m: Tensor) -> Tensor:
        """The mean of x′ given the state and the network's output there."""
        x0, noise = self.here.split(x, m)
        return (self.there.alpha * x0 + self._kept * noise).to(x.dtype)

    def divergence(self, difference: Tensor) -> Tensor:
        """KL of the step's two laws, (n,), for outputs that differ by ``difference`` (n, …).

        Infinite where a step without noise meets a difference.
        """
        square = difference.double().flatten(1).square().sum(1)
        variance = self.deviation.square()
        if variance == 0:
            return torch.where(square > 0, math.inf, 0.0).double()
        return self.gain.square() * square / (2 * variance)


Model = Callable[[Tensor, int], Tensor]
"""States (n, …) and the number of the step to the network's outputs."""


def path_divergence(
    steps: Sequence[SamplerStep],
    first: Model,
    second: Model,
    states: Tensor,
    noise: Callable[[], Tensor],
) -> Tensor:
    """The divergence of every step along paths of the ``first`` model, (n, steps) float64.

    Row sums are unbiased estimates of KL(first ‖ second). ``states`` (n, …) are where the paths
    start, and both models start alike; ``noise()`` gives fresh standard normal numbers like them.
    """
    columns = []
    for number, step in enumerate(steps):
        output = first(states, number)
        columns.append(step.divergence(output - second(states, number)).cpu())
        states = step.mean(states, output) + step.deviation.to(states.dtype) * noise()
    return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval."""

    value: float
    low: float
    high: float


def student_quantile(level: float, freedom: int) -> float:
    """Two-sided quantile of Student's t (Hill's expansion; within 1 % from 4 degrees on)."""
    z = torch.special.ndtri(torch.tensor(0.5 + level / 2, dtype=torch.float64)).item()
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def mean_estimate(values: Tensor, level: float = 0.95) -> Estimate:
    """Student's interval of the mean of independent, non-negative ``values`` (n,)."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, 0.0, math.inf)
    half = student_quantile(level, len(values) - 1) * float(values.std()) / len(values) ** 0.5
    return Estimate(mean, max(0.0, mean - half), mean + half)


def detector_bound(divergence: float) -> float:
    """The most by which any event's probability can differ between the two models, 0 to 1.

    The smaller of Pinsker's √(KL/2) and Bretagnolle and Huber's √(1 − exp(−KL)).
    """
    if math.isinf(divergence):
        return 1.0
    return min(math.sqrt(divergence / 2), math.sqrt(-math.expm1(-divergence)))
