"""A concept's columns and its surrogate's, in few columns: C and S enter a solve as products only.

Products such as C D Cᵀ and (S − C) D Cᵀ, D the weights on the diagonal, are the same after both
sides are rotated together, and then they may be cut short. Notation as in ``closed_form``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.subspaces import RANK_TOLERANCE, leading_svd


@dataclass(frozen=True)
class Pairs:
    """A concept's weighted columns C D^½ and its surrogate's, after one rotation of both.

    Weights sum to one, so that concepts count alike however many sentences stand for them.
    """

    concept: Float[Tensor, "d n"]
    surrogate: Float[Tensor, "d n"]

    @classmethod
    def of(
        cls,
        concept: Float[Tensor, "d m"],
        surrogate: Float[Tensor, "d m"],
        weights: Float[Tensor, " m"],
        most: int | None = None,
    ) -> Pairs:
        """From columns and their weights, in at most ``most`` columns.

        The singular value decomposition of both, stacked: lossless without ``most``.
        """
        d = len(concept)
        stacked = torch.cat([concept, surrogate]).mul_((weights / weights.sum()).sqrt())
        _, vh = leading_svd(stacked, min(stacked.shape) if most is None else most)
        short = stacked @ vh.mT
        return cls(short[:d], short[d:])

    def leading(self, root: Float[Tensor, "o d"], count: int) -> Pairs:
        """The ``count`` combinations that carry most of W(S − C); ``root`` is G^½.

        Each has ‖W(s − c)‖ = 1. Where ``count`` reaches the rank of W(S − C) the columns stay as
        they are: then every column is a condition, even one that does not move.
        """
        _, s, vh = linalg.svd(root @ (self.surrogate - self.concept))
        if count >= int((s > RANK_TOLERANCE * s[0]).sum()):
            return self
        mix = vh[:count].mT / s[:count]
        return Pairs(self.concept @ mix, self.surrogate @ mix)

    def shortened(self, root: Float[Tensor, "o d"], count: int, share: float = 1.0) -> Pairs:
        """As ``leading``, at the columns' own size, and with weights that sum to ``share``."""
        _, vh = leading_svd(root @ (self.surrogate - self.concept), count)
        mix = vh.mT * share**0.5
        return Pairs(self.concept @ mix, self.surrogate @ mix)

    def scaled(self, share: float) -> Pairs:
        """The same columns, with weights that sum to ``share``."""
        return Pairs(self.concept * share**0.5, self.surrogate * share**0.5)

    @property
    def count(self) -> int:
        """n, the number of columns."""
        return self.concept.shape[1]


def concatenated(
    pairs: Sequence[Pairs],
) -> tuple[Float[Tensor, "d n"], Float[Tensor, "d n"]]:
    """C and S of all ``pairs`` side by side."""
    return (
        torch.cat([one.concept for one in pairs], dim=1),
        torch.cat([one.surrogate for one in pairs], dim=1),
    )
