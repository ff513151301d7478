"""Low-rank matrices: the form in which every edit is stored, added and shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg


@dataclass(frozen=True)
class LowRank:
    """The matrix ``up @ down``, (o, d), as LoRA stores it.

    Attributes:
        down: (r, d), LoRA's A; d is ``in_features`` of the layer.
        up: (o, r), LoRA's B; o is ``out_features``.

    >>> first = LowRank(down=torch.tensor([[1.0, 2.0]]), up=torch.tensor([[3.0], [0.0]]))
    >>> first.dense()
    tensor([[3., 6.],
            [0., 0.]])
    >>> both = first.cat(first.scale(-1.0))
    >>> both.rank, both.norm().item()
    (2, 0.0)
    """

    down: Float[Tensor, "r d"]
    up: Float[Tensor, "o _"]  # its r is checked below, with a message

    def __post_init__(self) -> None:
        if self.down.ndim != 2 or self.up.ndim != 2 or self.down.shape[0] != self.up.shape[1]:
            raise ValueError(
                f"down {tuple(self.down.shape)} and up {tuple(self.up.shape)} do not chain; "
                "expected (rank, in_features) and (out_features, rank)"
            )

    @property
    def rank(self) -> int:
        """r, the inner dimension of the factors."""
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(o, d) of the product."""
        return self.up.shape[0], self.down.shape[1]

    def dense(self) -> Float[Tensor, "o d"]:
        """The product."""
        return self.up @ self.down

    def to(self, *args: Any, **kwargs: Any) -> LowRank:
        """Both factors through ``Tensor.to``."""
        return LowRank(self.down.to(*args, **kwargs), self.up.to(*args, **kwargs))

    def scale(self, factor: float) -> LowRank:
        """``factor`` times the matrix."""
        return LowRank(self.down, self.up * factor)

    def cat(self, other: LowRank) -> LowRank:
        """The sum of two matrices, exactly, as one of rank ``self.rank + other.rank``."""
        if self.shape != other.shape:
            raise ValueError(f"cannot add a {other.shape} matrix to a {self.shape} matrix")
        return LowRank(torch.cat([self.down, other.down]), torch.cat([self.up, other.up], dim=1))

    def widen(self, in_features: int) -> LowRank:
        """The same matrix with zero columns on the right, up to ``in_features`` columns."""
        if in_features < self.shape[1]:
            raise ValueError(f"cannot widen {self.shape[1]} columns to {in_features}")
        extra = in_features - self.shape[1]
        if not extra:
            return self
        return LowRank(torch.nn.functional.pad(self.down, (0, extra)), self.up)

    def pad(self, rank: int) -> LowRank:
        """The same matrix with zero rows and columns up to ``rank``."""
        if rank < self.rank:
            raise ValueError(f"cannot pad rank {self.rank} to {rank}; use truncate")
        extra = rank - self.rank
        return LowRank(
            torch.cat([self.down, self.down.new_zeros(extra, self.down.shape[1])]),
            torch.cat([self.up, self.up.new_zeros(self.up.shape[0], extra)], dim=1),
        )

    def times(self, columns: Float[Tensor, "d n"]) -> Float[Tensor, "o n"]:
        """The matrix times ``columns``: by the factors, or by the whole where these are longer."""
        if self.rank <= self.shape[1]:
            return self.up @ (self.down @ columns)
        return self._whole @ columns

    @cached_property
    def _whole(self) -> Float[Tensor, "o d"]:
        return self.up @ self.down

    def norm(self) -> Float[Tensor, ""]:
        """Frobenius norm, from the factors: sqrt(tr(upᵀup · down downᵀ))."""
        gram = (self.up.mT @ self.up) * (self.down @ self.down.mT)
        return gram.sum().clamp(min=0).sqrt()

    def truncate(self, rank: int) -> tuple[LowRank, float]:
        """The best approximation of ``rank`` in Frobenius norm (Eckart and Young 1936).

        Also returns the share of the squared norm that is lost, 0 to 1.
        """
        q_up, r_up = linalg.qr(self.up)
        q_down, r_down = linalg.qr(self.down.mT)
        u, s, vh = linalg.svd(r_up @ r_down.mT)
        energy = s.square()
        lost = float(energy[rank:].sum() / energy.sum().clamp(min=torch.finfo(s.dtype).tiny))
        root = s[:rank].sqrt()
        down = root[:, None] * (vh[:rank] @ q_down.mT)
        return LowRank(down, (q_up @ u[:, :rank]) * root), lost


def from_dense(matrix: Float[Tensor, "o d"]) -> LowRank:
    """A matrix as a float32 product, exactly up to rounding; its rank is at most min(o, d).

    Directions whose singular value is rounding error of float32 beside the largest are dropped;
    at least one is kept.
    """
    u, s, vh = linalg.svd(matrix.detach().cpu().double())
    smallest = torch.finfo(torch.float32).eps * s[0]
    rank = max(1, int((s > smallest).sum()))
    root = s[:rank].sqrt()
    return LowRank(root[:, None] * vh[:rank], u[:, :rank] * root).to(torch.float32)


def compact(change: LowRank) -> LowRank:
    """The same matrix with a rank of at most min(o, d): longer factors are decomposed anew."""
    return change if change.rank <= min(change.shape) else from_dense(change.dense())


Delta = Mapping[str, LowRank]
"""A change to a network: module path of a linear layer to the low-rank change of its weight."""


def add(deltas: Sequence[Delta]) -> dict[str, LowRank]:
    """The sum of several changes, module by module, ranks concatenated."""
    result: dict[str, LowRank] = {}
    for delta in deltas:
        for path, change in delta.items():
            result[path] = result[path].cat(change) if path in result else change
    return result


def scaled(delta: Delta, factor: float) -> dict[str, LowRank]:
    """``factor`` times a change."""
    return {path: change.scale(factor) for path, change in delta.items()}
