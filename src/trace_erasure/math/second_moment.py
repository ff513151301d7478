"""The second moment Σ of ordinary embeddings, summed up batch by batch."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math.closed_form import regularised
from trace_erasure.math.subspaces import add_gram, symmetric


class SecondMoment:
    """Fits Σ = Σ_i w_i e_i e_iᵀ / Σ_i w_i to embeddings e_i (d,), in float64 on the CPU.

    Σ holds how much each direction of an embedding is used; ``Edit.fit`` needs it. A worker each
    may fit a share of the embeddings, and ``merge`` puts them together.

    Attributes:
        width: d.
        weight: Σ_i w_i so far.

    >>> moment = SecondMoment(2).update(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    >>> moment.value()
    tensor([[1., 1.],
            [1., 2.]], dtype=torch.float64)
    >>> _ = moment.update(torch.tensor([[2.0, 0.0]]), weights=torch.tensor([4.0]))
    >>> moment.value()[0, 0].item(), moment.weight
    (3.0, 6.0)
    """

    def __init__(self, width: int) -> None:
        """``width`` is d, the number of entries of an embedding."""
        self.width = width
        self.weight = 0.0
        self._upper = torch.zeros(width, width, dtype=torch.float64)

    def update(
        self,
        embeddings: Float[Tensor, "*batch d"],
        weights: Float[Tensor, "*any"] | None = None,
    ) -> SecondMoment:
        """Adds embeddings of any leading shape, each with its weight or with 1; returns itself.

        Raises:
            ValueError: the embeddings are not of this width, or not one weight stands for each.
        """
        if embeddings.shape[-1] != self.width:
            raise ValueError(f"embeddings have {embeddings.shape[-1]} entries, not {self.width}")
        if weights is None:
            weights = torch.ones(embeddings.shape[:-1], dtype=torch.float64)
        if weights.shape != embeddings.shape[:-1]:
            raise ValueError(
                f"weights {tuple(weights.shape)} do not fit embeddings {tuple(embeddings.shape)}: "
                "one weight for each embedding"
            )
        weights = weights.detach().cpu().double()
        rows = embeddings.detach().cpu().double() * weights.sqrt()[..., None]
        add_gram(self._upper, rows.reshape(-1, self.width))
        self.weight += float(weights.sum())
        return self

    def merge(self, other: SecondMoment) -> SecondMoment:
        """Adds what another worker has summed up; returns itself.

        Raises:
            ValueError: the widths differ.
        """
        if other.width != self.width:
            raise ValueError(f"cannot merge moments of widths {self.width} and {other.width}")
        self._upper += other._upper
        self.weight += other.weight
        return self

    def value(self, ridge: float = 0.0) -> Float[Tensor, "d d"]:
        """Σ, with ``ridge`` times its mean diagonal added to the diagonal.

        A positive ridge makes Σ positive definite however few embeddings there were; the library
        uses 1e-3.

        Raises:
            ValueError: there were no embeddings.
        """
        if self.weight == 0:
            raise ValueError("no embeddings yet: call update first")
        moment = symmetric(self._upper) / self.weight
        return regularised(moment, ridge) if ridge else moment
