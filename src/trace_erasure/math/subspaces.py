"""Subspaces of a text stream: Gram matrices, their roots, spans and leading directions.

Embeddings are columns, (d, n). G = Σ_l W_lᵀ W_l is the stacked Gram matrix of the maps that read
the stream, so that ‖W e‖² = eᵀ G e over all maps at once. G^½ is any F with FᵀF = G: norms and
singular values are the same for all of them. All functions work in float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

RANK_TOLERANCE = 1e-9
"""Singular values below this share of the largest count as zero: columns that repeat."""
NULL_TOLERANCE = 1e-14
"""Eigenvalues of G below this share of the largest count as zero: directions that no map hears."""
BLOCK = 512
"""Columns of a Gram matrix that are computed at once."""


def gram(weights: Iterable[Tensor]) -> Tensor:
    """G = Σ_l W_lᵀ W_l of matrices (n_l, d) in float64, (d, d)."""
    total = torch.zeros(0, 0, dtype=torch.float64)
    for weight in weights:
        weight = weight.detach().double().cpu()
        d = weight.shape[1]
        total = total if len(total) else weight.new_zeros(d, d)
        for start in range(0, d, BLOCK):
            # G is symmetric: half of the products is enough.
            left = weight[:, start : start + BLOCK]
            total[start : start + BLOCK, start:].addmm_(left.mT, weight[:, start:])
    return total.triu() + total.triu(1).mT


def gram_root(weights: Sequence[Tensor]) -> Tensor:
    """G^½ of maps (n_l, d) as (r, d), r the rank of G; its rows are orthogonal."""
    if sum(len(weight) for weight in weights) < weights[0].shape[1]:
        stacked = torch.cat([weight.detach().double().cpu() for weight in weights])
        values, vectors = torch.linalg.eigh(gram([stacked.mT]))
        return vectors[:, values > NULL_TOLERANCE * values[-1]].mT @ stacked
    values, vectors = torch.linalg.eigh(gram(weights))
    heard = values > NULL_TOLERANCE * values[-1]
    return values[heard].sqrt()[:, None] * vectors[:, heard].mT


def span(columns: Tensor) -> Tensor:
    """An orthonormal basis of the span of ``columns``."""
    if columns.shape[1] == 0:
        return columns
    u, s, _ = torch.linalg.svd(columns, full_matrices=False)
    return u[:, : int((s > RANK_TOLERANCE * s[0]).sum())]


def leading_svd(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest singular values, (k,), and right singular vectors, (k, n), of
    ``matrix``; fewer where its rank is lower."""
    # The Gram matrix of the shorter side finds the leading subspace, for a fraction of the price;
    # the decomposition within it is as accurate as a full one.
    wide = matrix.shape[0] < matrix.shape[1]
    _, basis = torch.linalg.eigh(gram([matrix.mT if wide else matrix]))
    basis = basis[:, -count:]
    if wide:
        _, s, vh = torch.linalg.svd(basis.mT @ matrix, full_matrices=False)
    else:
        _, s, vh = torch.linalg.svd(matrix @ basis, full_matrices=False)
        vh = vh @ basis.mT
    rank = int((s > RANK_TOLERANCE * s[0]).sum())
    return s[:rank], vh[:rank]


def leading_columns(columns: Tensor, root: Tensor, count: int | None) -> Tensor:
    """``count`` combinations of ``columns`` that carry most of their output; None gives them as
    they are. ``root`` is G^½."""
    if count is None:
        return columns
    if count == 0 or columns.shape[1] == 0:
        return columns[:, :0]
    s, vh = leading_svd(root @ columns, count)
    return columns @ (vh.mT / s)


def moment_factor(columns: Tensor, root: Tensor, count: int | None) -> Tensor:
    """At most ``count`` combinations K of ``columns``, as large as they are there: K Kᵀ is the mean
    over the columns, but for directions that hardly reach the output. ``root`` is G^½."""
    if columns.shape[1] == 0:
        return columns
    mean = columns / columns.shape[1] ** 0.5
    if count is None or count >= columns.shape[1]:
        return mean
    _, vh = leading_svd(root @ mean, count)
    return mean @ vh.mT


def unit_outputs(columns: Tensor, root: Tensor) -> Tensor:
    """``columns``, each scaled to ‖G^½ e‖ = 1; ``root`` is G^½."""
    return columns / (root @ columns).norm(dim=0).clamp(min=1e-300)
