"""Stage 1: the closed-form edit M = I + shift @ read of everything that reads a text stream.

Embeddings are columns. C holds a concept's embeddings, S the aligned embeddings of its surrogate,
R embeddings to keep. Σ is the second moment of ordinary embeddings (how much each direction is
used) and G^½ the root of the maps' Gram matrix, see ``math.subspaces``. All functions work in
float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import RANK_TOLERANCE, leading_svd, span


@dataclass(frozen=True)
class Edit:
    """M = I + shift @ read, one matrix for every map that reads the stream: W′ = W M.

    Attributes:
        shift: (d, k), where the removed directions go, S − C.
        read: (k, d), the coefficients of the removed directions in an embedding.
        discarded: share of the energy of W(S − C) left out by truncation to k directions.
        capacity: share of the d dimensions that the constraints use up.
    """

    shift: Tensor
    read: Tensor
    discarded: float
    capacity: float

    @property
    def rank(self) -> int:
        return self.read.shape[0]

    def matrix(self) -> Tensor:
        """M itself, (d, d)."""
        return torch.eye(self.read.shape[1], dtype=self.read.dtype) + self.shift @ self.read

    def apply(self, columns: Tensor) -> Tensor:
        """M @ columns."""
        return columns + self.shift @ (self.read @ columns)

    def change(self, weight: Tensor) -> LowRank:
        """W M − W of one map, (out, d), as a low-rank matrix."""
        return LowRank(self.read, weight.to(self.shift) @ self.shift)


def regularised(second_moment: Tensor, ridge: float) -> Tensor:
    """Σ + ridge · mean(diag Σ) · I: positive definite, and no direction is free to use."""
    scale = second_moment.diagonal().mean()
    eye = torch.eye(len(second_moment), dtype=second_moment.dtype)
    return second_moment + ridge * scale * eye


def left_inverse(columns: Tensor, second_moment: Tensor) -> tuple[Tensor, int]:
    """P = (AᵀΣ⁻¹A)⁻¹AᵀΣ⁻¹ of ``columns`` A (d, m), as (m, d), and the rank of A.

    Columns that repeat or depend on each other share their coefficients (pseudo-inverse).
    """
    # Whitened coordinates turn the metric Σ⁻¹ into the ordinary one; pinv drops repeats.
    factor = torch.linalg.cholesky(second_moment)
    white = torch.linalg.solve_triangular(factor, columns, upper=False)
    length = white.norm(dim=0).clamp(min=1e-300)  # scale-free rank decision
    inverse = torch.linalg.pinv(white / length, rtol=RANK_TOLERANCE) / length[:, None]
    rank = int(torch.linalg.matrix_rank(white / length, rtol=RANK_TOLERANCE))
    return torch.linalg.solve_triangular(factor.mT, inverse.mT, upper=True).mT, rank


def equality(
    concept: Tensor,
    surrogate: Tensor,
    keep: Tensor,
    second_moment: Tensor,
    root: Tensor,
    *,
    directions: int | None = None,
    weights: Tensor | None = None,
) -> Edit:
    """The edit of least expected output change with M C = S, M S = S and M R = R.

    Minimises tr[(W′−W) Σ (W′−W)ᵀ] under the constraints; Lagrange multipliers give
    M = I + (S − C) P_C with P = (AᵀΣ⁻¹A)⁻¹AᵀΣ⁻¹, A = [C, S, R].

    Args:
        concept: (d, m) columns C.
        surrogate: (d, m) columns S, aligned with C.
        keep: (d, r) columns R.
        second_moment: (d, d) Σ, positive definite.
        root: (r, d) G^½.
        directions: keep only so many leading directions of S − C in the metric of G; None is
            the exact, untruncated solution.
        weights: (m,) importance of the columns when directions are chosen; default equal.

    Raises:
        ValueError: shapes do not agree, or concept and surrogate are the same.
    """
    d = concept.shape[0]
    if surrogate.shape != concept.shape or keep.shape[0] != d or second_moment.shape != (d, d):
        raise ValueError(
            f"concept {tuple(concept.shape)}, surrogate {tuple(surrogate.shape)}, keep "
            f"{tuple(keep.shape)} and Σ {tuple(second_moment.shape)} do not agree"
        )
    c, s, discarded = leading_pairs(concept, surrogate, root, directions, weights)
    inverse, used = left_inverse(torch.cat([c, s, keep], dim=1), second_moment)
    edit = Edit(s - c, inverse[: c.shape[1]], discarded, used / d)
    return compress(edit) if directions is None else edit


def leading_pairs(
    concept: Tensor,
    surrogate: Tensor,
    root: Tensor,
    directions: int | None = None,
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, float]:
    """Combinations of the columns that carry the leading directions of S − C; ``root`` is G^½.

    Returns:
        (d, k) each, C and S combined in the same way; and the share of the energy of W(S − C)
        that is left out. Without ``directions`` the columns stay as they are.

    Raises:
        ValueError: concept and surrogate are the same.
    """
    weights = torch.ones(concept.shape[1], dtype=concept.dtype) if weights is None else weights
    difference = output_moved(concept * weights, surrogate * weights, root)
    if directions is None:
        return concept, surrogate, 0.0
    # Columns are combined, not selected: each direction of S − C gets its own (c, s) pair.
    s, vh = leading_svd(difference, directions)
    mix = weights[:, None] * vh.mT / s
    discarded = float((1 - s.square().sum() / difference.square().sum()).clamp(min=0))
    return concept @ mix, surrogate @ mix, discarded


def output_moved(concept: Tensor, surrogate: Tensor, root: Tensor) -> Tensor:
    """G^½ (S − C), as long as W(S − C): how far an edit has to move the output.

    Raises:
        ValueError: concept and surrogate are the same to all maps.
    """
    moved = root @ (surrogate - concept)
    if not moved.any():
        raise ValueError("concept and surrogate have the same embeddings: nothing to edit")
    return moved


def compress(edit: Edit) -> Edit:
    """The same M with factors of minimal rank."""
    product = LowRank(edit.read, edit.shift)
    values = torch.linalg.svdvals(
        torch.linalg.qr(edit.shift).R @ torch.linalg.qr(edit.read.mT).R.mT
    )
    rank = max(1, int((values > RANK_TOLERANCE * values[0]).sum()))
    short, _ = product.truncate(rank)
    return Edit(short.up, short.down, edit.discarded, edit.capacity)


def ridge(
    concept: Tensor,
    surrogate: Tensor,
    second_moment: Tensor,
    *,
    penalty: float = 0.1,
    preserve: float = 1.0,
    root: Tensor | None = None,
    directions: int | None = None,
) -> Edit:
    """The least-squares edit of UCE, MACE and RECE: ΔM = (S − C) Cᵀ H⁻¹ with H = CCᵀ + αΣ + λI.

    Minimises ‖W′C − WS‖² + α tr[(W′−W)Σ(W′−W)ᵀ] + λ‖W′−W‖²; ``penalty`` is λ, relative to the mean
    squared entry of the embeddings so that models are alike, and ``preserve`` α. What any other
    edit costs more is ‖G^½ (ΔM′ − ΔM) H^½‖², so that the best of rank ``directions`` is a
    truncated singular value decomposition (Eckart and Young); ``root`` is G^½.
    """
    system = ridge_system(concept, second_moment, penalty, preserve)
    moved = surrogate - concept
    if root is None or directions is None:
        return compress(Edit(moved, torch.linalg.solve(system, concept).mT, 0.0, 0.0))
    factor = torch.linalg.cholesky(system)
    white = torch.linalg.solve_triangular(factor, concept, upper=False)
    gain = (root @ moved) @ white.mT
    s, vh = leading_svd(gain, directions)
    read = torch.linalg.solve_triangular(factor.mT, vh.mT, upper=True).mT
    discarded = float((1 - s.square().sum() / gain.square().sum()).clamp(min=0))
    return Edit(moved @ (vh @ white).mT, read, discarded, 0.0)


def ridge_system(concept: Tensor, second_moment: Tensor, penalty: float, preserve: float) -> Tensor:
    """H = CCᵀ + αΣ + λI of a ridge, (d, d); see ``ridge``."""
    scale = penalty * second_moment.diagonal().mean()
    eye = torch.eye(len(second_moment), dtype=concept.dtype)
    return concept @ concept.mT + preserve * second_moment + scale * eye


def null_space(edit: Edit, keep: Tensor) -> Edit:
    """``edit`` projected off the span of ``keep``: M R = R exactly, whatever else it loses."""
    basis = span(keep)
    return Edit(
        edit.shift, edit.read - (edit.read @ basis) @ basis.mT, edit.discarded, edit.capacity
    )
