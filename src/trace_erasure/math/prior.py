"""What a compromise must not change: the prior of the ridge, as a second moment.

Notation as in ``closed_form``.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

ORDINARY, REACHED, RETAINED, LEAST = 0.1, 0.3, 2.0, 1e-3
"""Beside 1 for the concept: α of ordinary language; as shares of it what the concept comes to,
surrogate and empty prompt, and what is retained; and λ, a share of the mean diagonal."""


def prior(second_moment: Tensor, reached: Sequence[Tensor], retained: Sequence[Tensor]) -> Tensor:
    """Σ + β Σ_K K Kᵀ + γ Σ_R R Rᵀ, each product a mean over its columns, (d, d).

    Args:
        second_moment: (d, d) Σ, of ordinary language.
        reached: (d, n) columns K that the concept's come to; retained: R, that stay. Empty ones
            say nothing.
    """
    for share, parts in ((REACHED, reached), (RETAINED, retained)):
        for part in parts:
            second_moment = second_moment + share * part @ part.mT / max(part.shape[1], 1)
    return second_moment
