"""Stage 1: the closed-form edit M = I + shift @ read of everything that reads a text stream.

Embeddings are columns. C holds a concept's embeddings, S the aligned embeddings of its surrogate,
R embeddings to keep. Σ is the second moment of ordinary embeddings (how much each direction is
used) and G^½ the root of the maps' Gram matrix, see ``math.subspaces``. All functions work in
float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import RANK_TOLERANCE, gram_root, leading_svd, span

MAP_ROWS = 256
"""Rows of a map that are multiplied at once."""


@dataclass(frozen=True)
class Edit:
    """M = I + shift @ read, one matrix for every map that reads the embeddings: W′ = W M.

    Call it on embeddings, one a row, in any leading shape: ``edit(x)`` is what a map W has to be
    given for the output of the edited map W′ at x.

    Attributes:
        shift: (d, r), where the removed directions go, S − C.
        read: (r, d), the coefficients of the removed directions in an embedding.
        discarded: share of the energy of W(S − C) left out by truncation to r directions, 0 to 1.
        capacity: share of the d dimensions that the constraints use up, 0 to 1.

    >>> concept, surrogate, retain = torch.eye(4)[:1], torch.eye(4)[1:2], torch.eye(4)[2:3]
    >>> edit = Edit.fit(concept, surrogate, retain, second_moment=torch.eye(4))
    >>> edit(torch.tensor([[1.0, 0.0, 5.0, 2.0]])).round()
    tensor([[0., 1., 5., 2.]])
    """

    shift: Float[Tensor, "d r"]
    read: Float[Tensor, "r d"]
    discarded: float
    capacity: float

    @classmethod
    def fit(
        cls,
        concept: Float[Tensor, "n d"],
        surrogate: Float[Tensor, "n d"],
        retain: Float[Tensor, "m d"] | None = None,
        *,
        second_moment: Float[Tensor, "d d"],
        maps: Sequence[Float[Tensor, "_ d"]] = (),
        directions: int | None = None,
    ) -> Edit:
        """The edit with edit(concept) = surrogate that changes ordinary embeddings least.

        It leaves ``surrogate`` and ``retain`` as they are; see ``equality``, which this solves.

        Args:
            concept: embeddings to replace, one a row.
            surrogate: what each of them is to become.
            retain: embeddings that must stay exactly as they are.
            second_moment: Σ of ordinary embeddings, positive definite: ``SecondMoment.value``
                with a ridge.
            maps: weights that read the embeddings, (outputs, d) each. With ``directions`` they
                decide which directions matter; default: all do alike.
            directions: erase only so many leading directions of ``surrogate`` − ``concept``; None
                is exact.

        Raises:
            ValueError: shapes do not agree, or concept and surrogate are the same.
        """
        c, s, keep = (
            rows.detach().cpu().double().mT
            for rows in (concept, surrogate, concept[:0] if retain is None else retain)
        )
        root = gram_root(maps) if maps else torch.eye(len(c), dtype=c.dtype)
        return equality(c, s, keep, second_moment.cpu().double(), root, directions=directions)

    @property
    def rank(self) -> int:
        """r, the number of directions that are replaced."""
        return self.read.shape[0]

    def __call__(self, embeddings: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """M applied to every row, computed in the edit's precision and returned in the rows'."""
        rows = embeddings.to(self.read)
        return (rows + (rows @ self.read.mT) @ self.shift.mT).to(embeddings)

    def to(self, *args: Any, **kwargs: Any) -> Edit:
        """Both factors through ``Tensor.to``: another device, or less precision."""
        shift, read = self.shift.to(*args, **kwargs), self.read.to(*args, **kwargs)
        return Edit(shift, read, self.discarded, self.capacity)

    def matrix(self) -> Float[Tensor, "d d"]:
        """M itself."""
        return torch.eye(self.read.shape[1], dtype=self.read.dtype) + self.shift @ self.read

    def apply(self, columns: Float[Tensor, "d n"]) -> Float[Tensor, "d n"]:
        """M @ columns."""
        return columns + self.shift @ (self.read @ columns)

    def change(self, weight: Float[Tensor, "o d"]) -> LowRank:
        """W M − W of one map as a low-rank matrix."""
        # Some rows at a time: a copy of the whole map in float64 takes longer than the product.
        up = [rows.to(self.shift) @ self.shift for rows in torch.split(weight, MAP_ROWS)]
        return LowRank(self.read, torch.cat(up))


def regularised(second_moment: Float[Tensor, "d d"], ridge: float) -> Float[Tensor, "d d"]:
    """Σ + ridge · mean(diag Σ) · I: positive definite, and no direction is free to use."""
    found = second_moment.clone()
    found.diagonal().add_(ridge * second_moment.diagonal().mean())
    return found


def left_inverse(
    columns: Float[Tensor, "d m"], second_moment: Float[Tensor, "d d"]
) -> tuple[Float[Tensor, "m d"], int]:
    """P = (AᵀΣ⁻¹A)⁻¹AᵀΣ⁻¹ of ``columns`` A, and the rank of A.

    Columns that repeat or depend on each other share their coefficients (pseudo-inverse).
    """
    # Whitened coordinates turn the metric Σ⁻¹ into the ordinary one; pinv drops repeats.
    factor = linalg.cholesky(second_moment)
    white = linalg.solve_triangular(factor, columns, upper=False)
    length = linalg.column_norms(white).clamp(min=1e-300)  # scale-free rank decision
    inverse = linalg.pinv(white / length, RANK_TOLERANCE) / length[:, None]
    rank = linalg.matrix_rank(white / length, RANK_TOLERANCE)
    return linalg.solve_triangular(factor.mT, inverse.mT, upper=True).mT, rank


def equality(
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    keep: Float[Tensor, "d n"],
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
    *,
    directions: int | None = None,
    weights: Float[Tensor, " m"] | None = None,
) -> Edit:
    """The edit of least expected output change with M C = S, M S = S and M R = R.

    Minimises tr[(W′−W) Σ (W′−W)ᵀ] under the constraints; Lagrange multipliers give
    M = I + (S − C) P_C with P = (AᵀΣ⁻¹A)⁻¹AᵀΣ⁻¹, A = [C, S, R] (TRACE, arXiv 2505.23312).

    Args:
        concept: columns C.
        surrogate: columns S, aligned with C.
        keep: columns R.
        second_moment: Σ, positive definite.
        root: G^½.
        directions: keep only so many leading directions of S − C in the metric of G; None is
            the exact, untruncated solution.
        weights: importance of the columns when directions are chosen; default equal.

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
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    root: Float[Tensor, "o d"],
    directions: int | None = None,
    weights: Float[Tensor, " m"] | None = None,
) -> tuple[Float[Tensor, "d r"], Float[Tensor, "d r"], float]:
    """Combinations of the columns that carry the leading directions of S − C; ``root`` is G^½.

    Returns:
        C and S combined in the same way, and the share of the energy of W(S − C) that is left
        out. Without ``directions`` the columns stay as they are.

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


def output_moved(
    concept: Float[Tensor, "d m"], surrogate: Float[Tensor, "d m"], root: Float[Tensor, "o d"]
) -> Float[Tensor, "o m"]:
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
    values = linalg.svdvals(linalg.qr(edit.shift)[1] @ linalg.qr(edit.read.mT)[1].mT)
    rank = max(1, int((values > RANK_TOLERANCE * values[0]).sum()))
    short, _ = product.truncate(rank)
    return Edit(short.up, short.down, edit.discarded, edit.capacity)


def ridge(
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    second_moment: Float[Tensor, "d d"],
    *,
    penalty: float = 0.1,
    preserve: float = 1.0,
    root: Float[Tensor, "o d"] | None = None,
    directions: int | None = None,
) -> Edit:
    """The least-squares edit of UCE, MACE and RECE: ΔM = (S − C) Cᵀ H⁻¹ with H = CCᵀ + αΣ + λI.

    Minimises ‖W′C − WS‖² + α tr[(W′−W)Σ(W′−W)ᵀ] + λ‖W′−W‖² (Gandikota et al. 2024, arXiv
    2308.14761). What any other edit costs more is ‖G^½ (ΔM′ − ΔM) H^½‖², so that the best
    of rank ``directions`` is a truncated singular value decomposition (Eckart and Young 1936).

    Args:
        concept, surrogate: columns C and S.
        second_moment: Σ.
        penalty: λ, relative to the mean diagonal of Σ, so that models are alike.
        preserve: α.
        root: G^½; ``directions`` needs it.
        directions: the rank; None is the unlimited solution.
    """
    system = ridge_system(concept, second_moment, penalty, preserve)
    moved = surrogate - concept
    if root is None or directions is None:
        return compress(Edit(moved, linalg.solve(system, concept).mT, 0.0, 0.0))
    factor = linalg.cholesky(system)
    white = linalg.solve_triangular(factor, concept, upper=False)
    gain = (root @ moved) @ white.mT
    s, vh = leading_svd(gain, directions)
    read = linalg.solve_triangular(factor.mT, vh.mT, upper=True).mT
    discarded = float((1 - s.square().sum() / gain.square().sum()).clamp(min=0))
    return Edit(moved @ (vh @ white).mT, read, discarded, 0.0)


def ridge_system(
    concept: Float[Tensor, "d m"],
    second_moment: Float[Tensor, "d d"],
    penalty: float,
    preserve: float,
) -> Float[Tensor, "d d"]:
    """H = CCᵀ + αΣ + λI of a ridge; see ``ridge``."""
    # In place: at the width of FLUX.2 [dev] each further matrix is two gigabytes.
    system = torch.addmm(second_moment, concept, concept.mT, beta=preserve)
    system.diagonal().add_(penalty * second_moment.diagonal().mean())
    return system


def null_space(edit: Edit, keep: Float[Tensor, "d n"]) -> Edit:
    """``edit`` projected off the span of ``keep`` R: M R = R exactly, whatever else it loses."""
    basis = span(keep)
    return Edit(
        edit.shift, edit.read - (edit.read @ basis) @ basis.mT, edit.discarded, edit.capacity
    )
