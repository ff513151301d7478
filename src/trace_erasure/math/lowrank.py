"""Low-rank matrices: the form in which every edit is stored, added and shipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRank:
    """The matrix ``up @ down``.

    Attributes:
        down: (rank, in_features).
        up: (out_features, rank).
    """

    down: Tensor
    up: Tensor

    def __post_init__(self) -> None:
        if self.down.ndim != 2 or self.up.ndim != 2 or self.down.shape[0] != self.up.shape[1]:
            raise ValueError(
                f"down {tuple(self.down.shape)} and up {tuple(self.up.shape)} do not chain; "
                "expected (rank, in_features) and (out_features, rank)"
            )

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(out_features, in_features) of the product."""
        return self.up.shape[0], self.down.shape[1]

    def dense(self) -> Tensor:
        """The product, (out_features, in_features)."""
        return self.up @ self.down

    def to(self, *args, **kwargs) -> LowRank:
        return LowRank(self.down.to(*args, **kwargs), self.up.to(*args, **kwargs))

    def scale(self, factor: float) -> LowRank:
        return LowRank(self.down, self.up * factor)

    def cat(self, other: LowRank) -> LowRank:
        """The sum of two matrices, exactly, as one of rank ``self.rank + other.rank``."""
        if self.shape != other.shape:
            raise ValueError(f"cannot add a {other.shape} matrix to a {self.shape} matrix")
        return LowRank(torch.cat([self.down, other.down]), torch.cat([self.up, other.up], dim=1))

    def widen(self, in_features: int) -> LowRank:
        """The same matrix with zero columns on the right up to ``in_features``."""
        if in_features < self.shape[1]:
            raise ValueError(f"cannot widen {self.shape[1]} columns to {in_features}")
        extra = in_features - self.shape[1]
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

    def norm(self) -> Tensor:
        """Frobenius norm, from the factors: sqrt(tr(upᵀup · down downᵀ))."""
        gram = (self.up.mT @ self.up) * (self.down @ self.down.mT)
        return gram.sum().clamp(min=0).sqrt()

    def truncate(self, rank: int) -> tuple[LowRank, float]:
        """The best approximation of ``rank`` in Frobenius norm, and the share of energy lost."""
        q_up, r_up = torch.linalg.qr(self.up)
        q_down, r_down = torch.linalg.qr(self.down.mT)
        u, s, vh = torch.linalg.svd(r_up @ r_down.mT, full_matrices=False)
        energy = s.square()
        lost = float(energy[rank:].sum() / energy.sum().clamp(min=torch.finfo(s.dtype).tiny))
        root = s[:rank].sqrt()
        down = root[:, None] * (vh[:rank] @ q_down.mT)
        return LowRank(down, (q_up @ u[:, :rank]) * root), lost


def from_dense(matrix: Tensor) -> LowRank:
    """A matrix in float32 as a product, exactly up to rounding: its rank is at most min(out, in).

    Directions whose singular value is rounding error of float32 beside the largest are dropped;
    at least one is kept.
    """
    u, s, vh = torch.linalg.svd(matrix.detach().cpu().double(), full_matrices=False)
    smallest = torch.finfo(torch.float32).eps * s[0]
    rank = max(1, int((s > smallest).sum()))
    root = s[:rank].sqrt()
    return LowRank(root[:, None] * vh[:rank], u[:, :rank] * root).to(torch.float32)


def compact(change: LowRank) -> LowRank:
    """``change``, with its directions merged where there are more than its shape has room for."""
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
