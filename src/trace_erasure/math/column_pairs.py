"""A concept's columns and its surrogate's, compact: C and S enter a solve through products alone.

Products such as C D Cᵀ and (S − C) D Cᵀ, D the weights on the diagonal, are the same after both
sides are rotated together, and then they may be cut short. Notation as in ``closed_form``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.subspaces import RANK_TOLERANCE, leading_svd


@dataclass(frozen=True)
class Pairs:
    """A concept's weighted columns C D^½ and its surrogate's, after one rotation of both, (d, q).

    Weights sum to one, so that concepts count alike however many sentences stand for them.
    """

    concept: Tensor
    surrogate: Tensor

    @classmethod
    def of(
        cls, concept: Tensor, surrogate: Tensor, weights: Tensor, most: int | None = None
    ) -> Pairs:
        """From (d, m) columns and their (m,) weights, with at most ``most`` columns.

        The singular value decomposition of both, stacked: lossless without ``most``.
        """
        d = len(concept)
        stacked = torch.cat([concept, surrogate]) * (weights / weights.sum()).sqrt()
        _, vh = leading_svd(stacked, min(stacked.shape) if most is None else most)
        short = stacked @ vh.mT
        return cls(short[:d], short[d:])

    def leading(self, root: Tensor, count: int) -> Pairs:
        """The ``count`` combinations that carry most of W(S − C); ``root`` is G^½.

        Each has ‖W(s − c)‖ = 1. All there are, or more, gives the columns as they stand: then
        every one of them is a condition, those that do not move among them.
        """
        _, s, vh = torch.linalg.svd(root @ (self.surrogate - self.concept), full_matrices=False)
        if count >= int((s > RANK_TOLERANCE * s[0]).sum()):
            return self
        mix = vh[:count].mT / s[:count]
        return Pairs(self.concept @ mix, self.surrogate @ mix)

    def shortened(self, root: Tensor, count: int, share: float = 1.0) -> Pairs:
        """``leading`` at the columns' own size, and the weights' sum ``share``."""
        _, vh = leading_svd(root @ (self.surrogate - self.concept), count)
        mix = vh.mT * share**0.5
        return Pairs(self.concept @ mix, self.surrogate @ mix)

    def scaled(self, share: float) -> Pairs:
        """The same columns, with weights that sum to ``share``."""
        return Pairs(self.concept * share**0.5, self.surrogate * share**0.5)

    @property
    def count(self) -> int:
        return self.concept.shape[1]
