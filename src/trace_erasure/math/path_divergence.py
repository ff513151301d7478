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
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math.parameterization import NoisePoint


@dataclass(frozen=True)
class SamplerStep:
    """One sampler step from the noise level ``here`` to the cleaner ``there`` (scalars).

    The state becomes x′ = α′ x₀ + √(σ′² − σ̃²) ε + σ̃ z with fresh noise z. ``eta`` 0 is the
    deterministic sampler (DDIM, Song et al. 2021; Euler for a rectified flow), 1 the ancestral
    one. The marginals are the same in both.
    """

    here: NoisePoint
    there: NoisePoint
    eta: float = 0.0

    @property
    def deviation(self) -> Float[Tensor, ""]:
        """σ̃, the standard deviation of the fresh noise."""
        here, there = self.here, self.there
        if self.eta == 0:
            return torch.zeros_like(here.sigma)
        ratio = here.alpha / there.alpha
        added = (here.sigma.square() - ratio.square() * there.sigma.square()).clamp(min=0)
        return self.eta * there.sigma / here.sigma * added.sqrt()

    @property
    def _kept(self) -> Float[Tensor, ""]:
        return (self.there.sigma.square() - self.deviation.square()).clamp(min=0).sqrt()

    @property
    def gain(self) -> Float[Tensor, ""]:
        """κ: how far the mean moves per unit of the network's output."""
        here = self.here
        d = here.alpha * here.b - here.sigma * here.a
        return ((self._kept * here.alpha - self.there.alpha * here.sigma) / d).abs()

    def mean(
        self, x: Float[Tensor, "*shape"], m: Float[Tensor, "*shape"]
    ) -> Float[Tensor, "*shape"]:
        """The mean of x′ given the state and the network's output there."""
        x0, noise = self.here.split(x, m)
        return (self.there.alpha * x0 + self._kept * noise).to(x.dtype)

    def divergence(self, difference: Float[Tensor, " n *shape"]) -> Float[Tensor, " n"]:
        """KL of the step's two laws for outputs that differ by ``difference``, in nats.

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
    states: Float[Tensor, " n *shape"],
    noise: Callable[[], Tensor],
) -> Float[Tensor, "n steps"]:
    """The divergence of every step along paths of the ``first`` model, in nats, float64.

    Row sums are unbiased estimates of KL(first ‖ second).

    Args:
        steps: the sampler's steps.
        first: the model whose paths are followed.
        second: the model that is compared with it.
        states: where the paths start; both models start alike.
        noise: gives fresh standard normal numbers of the states' shape.
    """
    columns: list[Tensor] = []
    for number, step in enumerate(steps):
        output = first(states, number)
        columns.append(step.divergence(output - second(states, number)).cpu())
        states = step.mean(states, output) + step.deviation.to(states.dtype) * noise()
    return torch.stack(columns, dim=1)


def detector_bound(divergence: float) -> float:
    """The most by which any event's probability can differ between the two models, 0 to 1.

    The smaller of Pinsker's √(KL/2) and Bretagnolle and Huber's √(1 − exp(−KL)).
    """
    if math.isinf(divergence):
        return 1.0
    return min(math.sqrt(divergence / 2), math.sqrt(-math.expm1(-divergence)))
