"""One way to solve jointly, in numbers: plain data that files hold, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Trial:
    """One way to solve jointly, and what it does.

    Attributes:
        mode, directions: see ``Joint``.
        needed: share of the dimensions that its conditions ask for, an upper bound.
        residuals: ‖W′C − WS‖ / ‖W(C − S)‖ for each concept, weighted; 0 exact, 1 no effect.
        collateral: tr[ΔW Σ ΔWᵀ] / tr[W Σ Wᵀ], as in ``expected_collateral``.
        cost: mean squared error on the concepts' columns and on ordinary ones together, as a
            share of how far the concepts' have to move.
    """

    mode: str
    directions: int
    needed: float
    residuals: tuple[float, ...]
    collateral: float
    cost: float
