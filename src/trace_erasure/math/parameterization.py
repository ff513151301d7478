"""One algebra for every prediction type.

A noisy state is x = α x₀ + σ ε and the network's output is m = a x₀ + b ε, so that

    d = α b − σ a,   x₀ = (b x − σ m) / d,   ε = (α m − a x) / d.

ε-prediction has (a, b) = (0, 1), v-prediction (−σ, α), sample prediction (1, 0) and rectified
flow (−1, 1) with α = 1 − t, σ = t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow")


@dataclass(frozen=True)
class NoisePoint:
    """The four numbers of one noise level; scalars or tensors that broadcast over states."""

    alpha: Tensor
    sigma: Tensor
    a: Tensor
    b: Tensor

    @classmethod
    def of(cls, prediction: str, alpha: Tensor, sigma: Tensor) -> NoisePoint:
        """The path of one of ``PREDICTIONS`` at signal ``alpha`` and noise ``sigma``."""
        zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)
        match prediction:
            case "epsilon":
                return cls(alpha, sigma, zero, one)
            case "v_prediction":
                return cls(alpha, sigma, -sigma, alpha)
            case "sample":
                return cls(alpha, sigma, one, zero)
            case "flow":
                return cls(alpha, sigma, -one, one)
        raise ValueError(f"unknown prediction type {prediction!r}; known: {', '.join(PREDICTIONS)}")

    @property
    def noise_level(self) -> Tensor:
        """σ / (α + σ), from 0 (clean) to 1 (noise): the same meaning for every family."""
        return self.sigma / (self.alpha + self.sigma)

    def expand(self, states: Tensor) -> NoisePoint:
        """The same numbers shaped (n, 1, …) to broadcast over ``states`` (n, …), where they lie."""
        shape = (-1,) + (1,) * (states.ndim - 1)
        parts = (self.alpha, self.sigma, self.a, self.b)
        return NoisePoint(*(value.reshape(shape).to(states.device) for value in parts))

    def split(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        """(x₀, ε) that the output ``m`` implies at the state ``x``."""
        d = self.alpha * self.b - self.sigma * self.a
        return (self.b * x - self.sigma * m) / d, (self.alpha * m - self.a * x) / d

    def join(self, x0: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The state x and the ideal output m for a clean sample and its noise."""
        return self.alpha * x0 + self.sigma * noise, self.a * x0 + self.b * noise


def guide(unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance: e₀ + w (e_p − e₀)."""
    return unconditional + scale * (conditional - unconditional)
