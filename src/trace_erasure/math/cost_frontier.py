"""What an erasure must cost: the best trade of residual against collateral, in closed form.

Among all changes of the text-facing maps, W′ = W M with any M, minimise

    ‖W(M C − S)‖² + μ tr[(W′ − W) Σ (W′ − W)ᵀ].

The solution is M = I + (S − C)(N + μI)⁻¹ CᵀΣ⁻¹ with N = CᵀΣ⁻¹C = V diag(λ) Vᵀ. With b_i the squared
norms of the columns of W(S − C)V,

    residual² = Σ b_i μ² / (λ_i + μ)²,     collateral = Σ b_i λ_i / (λ_i + μ)²,

so that one eigendecomposition gives the whole frontier as μ runs from 0 to infinity. Whatever else
an edit promises (to keep the surrogate, say) can only cost more.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.subspaces import RANK_TOLERANCE


@dataclass(frozen=True)
class Frontier:
    """Residual against collateral, for one concept.

    Attributes:
        energy: (m,) b, what has to move, along each direction.
        reach: (m,) λ ≥ 0, how much Σ allows each direction to be told from ordinary prompts.
        ordinary: tr[W Σ Wᵀ], which collateral is relative to.
        own: mean of ‖W(s − c)‖² relative to ``ordinary``: what the concept itself goes through.
    """

    energy: Tensor
    reach: Tensor
    ordinary: float
    own: float

    def at(self, penalty: float) -> tuple[float, float]:
        """(residual, collateral), both relative, for the weight μ of the collateral."""
        whole = self.reach + penalty
        left = (self.energy * (penalty / whole).square()).sum() / self.energy.sum()
        cost = (self.energy * self.reach / whole.square()).sum() / self.ordinary
        return float(left.sqrt()), float(cost)

    @property
    def least_residual(self) -> float:
        """What no change of these maps can go below: directions that Σ⁻¹ does not see in C."""
        return self.at(float(self.reach.max()) * RANK_TOLERANCE)[0]

    def cost(self, residual: float) -> float:
        """The least collateral at which ``residual`` (0 to 1) is reached; ``inf`` if never.

        Residual falls and collateral rises as μ falls, so that a bisection finds it.
        """
        top = float(self.reach.max())
        low, high = top * RANK_TOLERANCE, top * 1e9
        if self.at(low)[0] > residual:
            return float("inf")
        for _ in range(200):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self.at(middle)[0] <= residual else (low, middle)
        return self.at(low)[1]

    def curve(self, residuals: tuple[float, ...]) -> list[tuple[float, float]]:
        """(residual, least collateral) at each of ``residuals``."""
        return [(residual, self.cost(residual)) for residual in residuals]


def frontier(
    concept: Tensor,
    surrogate: Tensor,
    second_moment: Tensor,
    maps_gram: Tensor,
    weights: Tensor | None = None,
) -> Frontier:
    """The frontier of sending columns C (d, m) to S (d, m); see the module's text.

    Args:
        second_moment: (d, d) Σ, positive definite.
        maps_gram: (d, d) G = Σ WᵀW.
        weights: (m,) importance of the columns; default equal.
    """
    if weights is not None:
        concept, surrogate = concept * weights.sqrt(), surrogate * weights.sqrt()
    factor = torch.linalg.cholesky(second_moment)
    white = torch.linalg.solve_triangular(factor, concept, upper=False)
    reach, basis = torch.linalg.eigh(white.mT @ white)
    difference = surrogate - concept
    turned = difference @ basis
    energy = (turned * (maps_gram @ turned)).sum(0).clamp(min=0)
    ordinary = float((maps_gram * second_moment).sum())
    count = float(weights.sum()) if weights is not None else concept.shape[1]
    return Frontier(energy, reach.clamp(min=0), ordinary, float(energy.sum()) / count / ordinary)
