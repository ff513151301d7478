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

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.subspaces import RANK_TOLERANCE


@dataclass(frozen=True)
class Frontier:
    """Residual against collateral, for one concept.

    Attributes:
        energy: b, how far the output has to move along each direction, squared.
        leverage: λ ≥ 0, how well Σ separates each direction from ordinary prompts.
        ordinary: tr[W Σ Wᵀ], which collateral is relative to.
        concept_cost: mean of ‖W(s − c)‖² relative to ``ordinary``: the concept's own change.
    """

    energy: Float[Tensor, " m"]
    leverage: Float[Tensor, " m"]
    ordinary: float
    concept_cost: float

    def at(self, penalty: float) -> tuple[float, float]:
        """(residual, collateral), both relative, for the weight μ of the collateral."""
        whole = self.leverage + penalty
        left = (self.energy * (penalty / whole).square()).sum() / self.energy.sum()
        cost = (self.energy * self.leverage / whole.square()).sum() / self.ordinary
        return float(left.sqrt()), float(cost)

    def cost(self, residual: float) -> float:
        """The least collateral at which ``residual`` (0 to 1) is reached; ``inf`` if never.

        Residual falls and collateral rises as μ falls, so that a bisection finds it.
        """
        top = float(self.leverage.max())
        low, high = top * RANK_TOLERANCE, top * 1e9
        if self.at(low)[0] > residual:
            return float("inf")
        for _ in range(200):
            middle = (low * high) ** 0.5
            low, high = (middle, high) if self.at(middle)[0] <= residual else (low, middle)
        return self.at(low)[1]

    def curve(self, residuals: Sequence[float]) -> list[tuple[float, float]]:
        """(residual, least collateral) at each of ``residuals``."""
        return [(residual, self.cost(residual)) for residual in residuals]


def frontier(
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    second_moment: Float[Tensor, "d d"],
    maps_gram: Float[Tensor, "d d"],
    weights: Float[Tensor, " m"] | None = None,
) -> Frontier:
    """The frontier of sending the columns C to S; see the module's text.

    Args:
        concept, surrogate: C and S.
        second_moment: Σ, positive definite.
        maps_gram: G = Σ_l W_lᵀ W_l.
        weights: importance of the columns; default equal.
    """
    if weights is not None:
        concept, surrogate = concept * weights.sqrt(), surrogate * weights.sqrt()
    factor = linalg.cholesky(second_moment)
    white = linalg.solve_triangular(factor, concept, upper=False)
    leverage, basis = linalg.eigh(white.mT @ white)
    difference = surrogate - concept
    turned = difference @ basis
    energy = (turned * (maps_gram @ turned)).sum(0).clamp(min=0)
    ordinary = float((maps_gram * second_moment).sum())
    count = float(weights.sum()) if weights is not None else concept.shape[1]
    share = float(energy.sum()) / count / ordinary
    return Frontier(energy, leverage.clamp(min=0), ordinary, share)
