"""One algebra for every prediction type.

A noisy state is x = α x₀ + σ ε and the network's output is m = a x₀ + b ε, so that

    d = α b − σ a,   x₀ = (b x − σ m) / d,   ε = (α m − a x) / d.

ε-prediction has (a, b) = (0, 1), v-prediction (−σ, α), sample prediction (1, 0) and rectified
flow (−1, 1) with α = 1 − t, σ = t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow")


@dataclass(frozen=True)
class NoisePoint:
    """The four numbers of one noise level; scalars or tensors that broadcast over states.

    Attributes:
        alpha: α, the signal's share of the state.
        sigma: σ, the noise's share of the state.
        a: the clean sample's share of the network's output.
        b: the noise's share of the network's output.

    >>> point = NoisePoint.of("flow", alpha=torch.tensor(0.25), sigma=torch.tensor(0.75))
    >>> point.noise_level.item()
    0.75
    >>> clean, noise = point.split(*point.join(torch.tensor([3.0]), torch.tensor([1.0])))
    >>> clean.item(), noise.item()
    (3.0, 1.0)
    """

    alpha: Float[Tensor, "*batch"]
    sigma: Float[Tensor, "*batch"]
    a: Float[Tensor, "*batch"]
    b: Float[Tensor, "*batch"]

    @classmethod
    def of(
        cls, prediction: str, alpha: Float[Tensor, "*batch"], sigma: Float[Tensor, "*batch"]
    ) -> NoisePoint:
        """The point of one of ``PREDICTIONS`` at signal ``alpha`` and noise ``sigma``.

        Raises:
            ValueError: the prediction type is none of them.
        """
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
            case _:
                known = ", ".join(PREDICTIONS)
                raise ValueError(f"unknown prediction type {prediction!r}; known: {known}")

    @property
    def noise_level(self) -> Float[Tensor, "*batch"]:
        """σ / (α + σ), from 0 (clean) to 1 (noise): the same meaning for every family."""
        return self.sigma / (self.alpha + self.sigma)

    @property
    def clean_gain(self) -> Float[Tensor, "*batch"]:
        """σ / |d|: by how much x₀ moves where the network's output moves by 1."""
        return self.sigma / (self.alpha * self.b - self.sigma * self.a).abs()

    def expand(self, states: Float[Tensor, " n *shape"]) -> NoisePoint:
        """The same numbers shaped (n, 1, …), to broadcast over ``states`` on their device."""
        shape = (-1,) + (1,) * (states.ndim - 1)
        parts = (self.alpha, self.sigma, self.a, self.b)
        return NoisePoint(*(value.reshape(shape).to(states.device) for value in parts))

    def split(
        self, x: Float[Tensor, "*shape"], m: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """(x₀, ε) that the output ``m`` implies at the state ``x``."""
        d = self.alpha * self.b - self.sigma * self.a
        return (self.b * x - self.sigma * m) / d, (self.alpha * m - self.a * x) / d

    def join(
        self, x0: Float[Tensor, "*shape"], noise: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """The state x and the ideal output m for a clean sample and its noise."""
        return self.alpha * x0 + self.sigma * noise, self.a * x0 + self.b * noise


def guide(
    unconditional: Float[Tensor, "*shape"], conditional: Float[Tensor, "*shape"], scale: float
) -> Float[Tensor, "*shape"]:
    """Classifier-free guidance e₀ + w (e_p − e₀) (Ho and Salimans 2022).

    >>> guide(torch.tensor([1.0]), torch.tensor([2.0]), scale=3.0)
    tensor([4.])
    """
    return unconditional + scale * (conditional - unconditional)
