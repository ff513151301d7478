"""The functions of ``torch.linalg`` that are used here, with types: torch ships none for them."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_untyped: Any = torch.linalg


def cholesky(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The lower factor L of a positive definite matrix L Lᵀ."""
    return _untyped.cholesky(matrix)


def cholesky_solve(
    factor: Float[Tensor, "d d"], right: Float[Tensor, "d n"]
) -> Float[Tensor, "d n"]:
    """X with L Lᵀ X = ``right``, L = ``factor`` of ``cholesky``."""
    return torch.cholesky_solve(right, factor)


def column_norms(columns: Float[Tensor, "d n"]) -> Float[Tensor, " n"]:
    """The Euclidean norm of every column."""
    return _untyped.vector_norm(columns, dim=0)


def eigh(matrix: Float[Tensor, "d d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Eigenvalues of a symmetric matrix, ascending, and its eigenvectors as columns."""
    values, vectors = _untyped.eigh(matrix)
    return values, vectors


def eigvalsh(matrix: Float[Tensor, "d d"]) -> Float[Tensor, " d"]:
    """Eigenvalues of a symmetric matrix, ascending."""
    return _untyped.eigvalsh(matrix)


def inv(matrix: Float[Tensor, "d d"]) -> Float[Tensor, "d d"]:
    """The inverse."""
    return _untyped.inv(matrix)


def matrix_rank(matrix: Float[Tensor, "m n"], rtol: float) -> int:
    """How many singular values are above ``rtol`` times the largest."""
    return int(_untyped.matrix_rank(matrix, rtol=rtol))


def pinv(
    matrix: Float[Tensor, "m n"], rtol: float, *, hermitian: bool = False
) -> Float[Tensor, "n m"]:
    """The pseudo-inverse; singular values below ``rtol`` times the largest count as zero."""
    return _untyped.pinv(matrix, rtol=rtol, hermitian=hermitian)


def qr(matrix: Float[Tensor, "m n"]) -> tuple[Float[Tensor, "m k"], Float[Tensor, "k n"]]:
    """The reduced decomposition Q R, k = min(m, n)."""
    q, r = _untyped.qr(matrix)
    return q, r


def solve(system: Float[Tensor, "d d"], right: Float[Tensor, "d n"]) -> Float[Tensor, "d n"]:
    """X with ``system`` X = ``right``."""
    return _untyped.solve(system, right)


def solve_triangular(
    system: Float[Tensor, "d d"], right: Float[Tensor, "d n"], *, upper: bool
) -> Float[Tensor, "d n"]:
    """X with ``system`` X = ``right`` for a triangular ``system``."""
    return _untyped.solve_triangular(system, right, upper=upper)


def svd(
    matrix: Float[Tensor, "m n"],
) -> tuple[Float[Tensor, "m k"], Float[Tensor, " k"], Float[Tensor, "k n"]]:
    """The reduced decomposition U diag(s) Vᵀ with s descending, k = min(m, n)."""
    u, s, vh = _untyped.svd(matrix, full_matrices=False)
    return u, s, vh


def svdvals(matrix: Float[Tensor, "*batch m n"]) -> Float[Tensor, "*batch k"]:
    """Singular values, descending."""
    return _untyped.svdvals(matrix)


def vector_norm(
    values: Float[Tensor, "*shape"], dim: tuple[int, ...] | None = None
) -> Float[Tensor, "*rest"]:
    """The Euclidean norm over ``dim``, or over all; its gradient at zero is zero."""
    return _untyped.vector_norm(values, dim=dim)
