"""Subspaces of a text stream: Gram matrices, their roots, spans and leading directions.

Embeddings are columns, (d, n). G = Σ_l W_lᵀ W_l is the stacked Gram matrix of the maps that read
the stream, so that ‖W e‖² = eᵀ G e over all maps at once. G^½ is any F with FᵀF = G, (o, d): norms
and singular values are the same for all of them. All functions work in float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.krylov import krylov_basis

RANK_TOLERANCE = 1e-9
"""Singular values below this share of the largest count as zero: columns that repeat."""
NULL_TOLERANCE = 1e-14
"""Eigenvalues of G below this share of the largest count as zero: directions that no map reads."""
BLOCK = 512
"""Columns of a Gram matrix that are computed at once."""
LARGE, FEW = 1024, 0.05
"""Size of a matrix, and share of its directions, from and up to which they are found without a full
decomposition."""
ROWS = 1024
"""Rows of a map that are taken to float64 at once."""


def add_gram(total: Float[Tensor, "d d"], rows: Float[Tensor, "n d"]) -> None:
    """Adds ``rows``ᵀ ``rows`` to the upper triangle of ``total`` in place; see ``symmetric``."""
    for start in range(0, len(total), BLOCK):
        # The result is symmetric: half of the products is enough.
        left = rows[:, start : start + BLOCK]
        total[start : start + BLOCK, start:].addmm_(left.mT, rows[:, start:])


def symmetric(upper: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The symmetric matrix whose upper triangle, with the diagonal, is that of ``upper``."""
    return upper.triu() + upper.triu(1).mT


def gram(weights: Iterable[Float[Tensor, "_ d"]]) -> Float[Tensor, "d d"]:
    """G = Σ_l W_lᵀ W_l of matrices (o_l, d) in float64.

    >>> gram([torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0]])])
    tensor([[1., 2.],
            [2., 5.]], dtype=torch.float64)
    """
    total = torch.zeros(0, 0, dtype=torch.float64)
    for weight in weights:
        d = weight.shape[1]
        total = total if len(total) else torch.zeros(d, d, dtype=torch.float64)
        # Some rows at a time: a copy of all of them in float64 is memory for nothing.
        for rows in torch.split(weight.detach(), ROWS):
            add_gram(total, rows.cpu().double())
    return symmetric(total)


def gram_root(weights: Sequence[Float[Tensor, "_ d"]]) -> Float[Tensor, "o d"]:
    """G^½ of maps (o_l, d), with as many rows as G has rank; its rows are orthogonal."""
    if sum(len(weight) for weight in weights) < weights[0].shape[1]:
        stacked = torch.cat([weight.detach().double().cpu() for weight in weights])
        values, vectors = linalg.eigh(gram([stacked.mT]))
        return vectors[:, values > NULL_TOLERANCE * values[-1]].mT @ stacked
    values, vectors = linalg.eigh(gram(weights))
    positive = values > NULL_TOLERANCE * values[-1]
    return values[positive].sqrt()[:, None] * vectors[:, positive].mT


def span(columns: Float[Tensor, "d n"]) -> Float[Tensor, "d r"]:
    """An orthonormal basis of the span of ``columns``."""
    if columns.shape[1] == 0:
        return columns
    u, s, _ = linalg.svd(columns)
    return u[:, : int((s > RANK_TOLERANCE * s[0]).sum())]


def leading_svd(
    matrix: Float[Tensor, "m n"], count: int
) -> tuple[Float[Tensor, " r"], Float[Tensor, "r n"]]:
    """The ``count`` largest singular values and right singular vectors of ``matrix``.

    There are fewer where its rank is lower.
    """
    # A basis of the leading subspace is enough: the decomposition within it is as accurate as a
    # full one.
    wide = matrix.shape[0] < matrix.shape[1]
    basis = leading_basis(matrix if wide else matrix.mT, count)
    if wide:
        _, s, vh = linalg.svd(basis.mT @ matrix)
    else:
        _, s, vh = linalg.svd(matrix @ basis)
        vh = vh @ basis.mT
    rank = int((s > RANK_TOLERANCE * s[0]).sum())
    return s[:rank], vh[:rank]


def leading_basis(matrix: Float[Tensor, "m n"], count: int) -> Float[Tensor, "m r"]:
    """An orthonormal basis of the ``count`` leading left singular vectors of ``matrix``, m ≤ n.

    Columns stand in ascending order of their singular values.
    """
    if len(matrix) >= LARGE and count <= FEW * len(matrix):
        found = krylov_basis(matrix, count)
        if found is not None:
            return found
    # The Gram matrix of the shorter side finds the subspace for a fraction of the price of a
    # singular value decomposition.
    return linalg.eigh(gram([matrix.mT]))[1][:, -count:]


def leading_columns(
    columns: Float[Tensor, "d n"], root: Float[Tensor, "o d"], count: int | None
) -> Float[Tensor, "d r"]:
    """``count`` combinations of ``columns`` that carry most of their output W e, each of norm 1.

    ``count`` None gives the columns as they are. ``root`` is G^½.
    """
    if count is None:
        return columns
    if count == 0 or columns.shape[1] == 0:
        return columns[:, :0]
    s, vh = leading_svd(root @ columns, count)
    return columns @ (vh.mT / s)


def moment_factor(
    columns: Float[Tensor, "d n"], root: Float[Tensor, "o d"], count: int | None
) -> Float[Tensor, "d r"]:
    """K with K Kᵀ the mean of e eᵀ over ``columns``, in at most ``count`` columns.

    What is left out are the directions that carry least of the output W e; ``root`` is G^½.
    """
    if columns.shape[1] == 0:
        return columns
    mean = columns / columns.shape[1] ** 0.5
    if count is None or count >= columns.shape[1]:
        return mean
    _, vh = leading_svd(root @ mean, count)
    return mean @ vh.mT


def unit_outputs(columns: Float[Tensor, "d n"], root: Float[Tensor, "o d"]) -> Float[Tensor, "d n"]:
    """``columns``, each scaled to ‖W e‖ = 1 over all maps; ``root`` is G^½."""
    return columns / linalg.column_norms(root @ columns).clamp(min=1e-300)
