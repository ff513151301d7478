"""Stage 1: the closed-form edit M = I + shift @ read of everything that reads a text stream.

Embeddings are columns. C holds a concept's embeddings, S the aligned embeddings of its surrogate,
R embeddings to keep. Σ is the second moment of ordinary embeddings (how much each direction is
used) and G = Σ_l W_lᵀ W_l the stacked Gram matrix of the maps that read the stream, so that
‖W e‖² = eᵀ G e over all maps at once. G^½ is any F with FᵀF = G: norms and singular values are the
same for all of them. All functions work in float64.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.lowrank import LowRank

RANK_TOLERANCE = 1e-9
"""Singular values below this share of the largest count as zero: columns that repeat."""
UNHEARD = 1e-14
"""Eigenvalues of G below this share of the largest count as zero: directions that no map hears."""
BLOCK = 512
"""Columns of a Gram matrix that are computed at once."""


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
        return vectors[:, values > UNHEARD * values[-1]].mT @ stacked
    values, vectors = torch.linalg.eigh(gram(weights))
    heard = values > UNHEARD * values[-1]
    return values[heard].sqrt()[:, None] * vectors[:, heard].mT


def regularised(second_moment: Tensor, ridge: float) -> Tensor:
    """Σ + ridge · mean(diag Σ) · I: positive definite, and no direction is free to use."""
    scale = second_moment.diagonal().mean()
    eye = torch.eye(len(second_moment), dtype=second_moment.dtype)
    return second_moment + ridge * scale * eye


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


def principal(columns: Tensor, root: Tensor, count: int | None) -> Tensor:
    """``count`` combinations of ``columns`` that carry most of their output; None gives them as
    they are. ``root`` is G^½."""
    if count is None:
        return columns
    if count == 0 or columns.shape[1] == 0:
        return columns[:, :0]
    s, vh = leading_svd(root @ columns, count)
    return columns @ (vh.mT / s)


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
    difference = root @ ((surrogate - concept) * weights)
    energy = difference.square().sum()
    if energy == 0:
        raise ValueError("concept and surrogate have the same embeddings: nothing to edit")
    if directions is None:
        return concept, surrogate, 0.0
    # Columns are combined, not selected: each direction of S − C gets its own (c, s) pair.
    s, vh = leading_svd(difference, directions)
    mix = weights[:, None] * vh.mT / s
    discarded = float((1 - s.square().sum() / energy).clamp(min=0))
    return concept @ mix, surrogate @ mix, discarded


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
) -> Edit:
    """The least-squares edit of UCE, MACE and RECE: shift = S − C, read = Cᵀ(λI + CCᵀ + αΣ)⁻¹.

    Minimises ‖W′C − WS‖² + α tr[(W′−W)Σ(W′−W)ᵀ] + λ‖W′−W‖²; ``penalty`` is λ and ``preserve``
    α, both relative to the mean squared entry of the embeddings so that models are alike.
    """
    d = len(second_moment)
    scale = second_moment.diagonal().mean()
    system = concept @ concept.mT + preserve * second_moment
    system = system + penalty * scale * torch.eye(d, dtype=concept.dtype)
    read = torch.linalg.solve(system, concept).mT
    return compress(Edit(surrogate - concept, read, 0.0, 0.0))


def null_space(edit: Edit, keep: Tensor) -> Edit:
    """``edit`` projected off the span of ``keep``: M R = R exactly, whatever else it loses."""
    basis = span(keep)
    return Edit(
        edit.shift, edit.read - (edit.read @ basis) @ basis.mT, edit.discarded, edit.capacity
    )


# What an edit does, in numbers -------------------------------------------------------------


def output_norm(columns: Tensor, maps_gram: Tensor) -> Tensor:
    """‖W e‖ over all maps for each column, (n,)."""
    return (columns * (maps_gram @ columns)).sum(0).clamp(min=0).sqrt()


def residual(edit: Edit, concept: Tensor, surrogate: Tensor, maps_gram: Tensor) -> float:
    """‖W′C − WS‖ / ‖W(C − S)‖: 0 is an exact redirect, 1 no effect."""
    missed = output_norm(edit.apply(concept) - surrogate, maps_gram).square().sum()
    total = output_norm(concept - surrogate, maps_gram).square().sum()
    return float((missed / total.clamp(min=1e-300)).sqrt())


def expected_collateral(edit: Edit, second_moment: Tensor, maps_gram: Tensor) -> float:
    """tr[ΔW Σ ΔWᵀ] / tr[W Σ Wᵀ]: expected relative squared change on ordinary prompts."""
    change = edit.shift.mT @ maps_gram @ edit.shift
    use = edit.read @ second_moment @ edit.read.mT
    return float((change * use).sum() / (maps_gram * second_moment).sum())


def collateral(edit: Edit, columns: Tensor, maps_gram: Tensor) -> Tensor:
    """‖ΔW e‖ / ‖W e‖ for each column, (n,): exact, before any image is made."""
    change = output_norm(edit.shift @ (edit.read @ columns), maps_gram)
    return change / output_norm(columns, maps_gram).clamp(min=1e-300)


def recovery_margin(edit: Edit, concept: Tensor, surrogate: Tensor, root: Tensor) -> float:
    """min over columns c and all vectors e of ‖W c − W′ e‖ / ‖W(c − s)‖.

    Positive: no token embedding at all, typed or learned, reproduces the concept's keys and values.
    ``root`` is G^½ as ``gram_root`` gives it.
    """
    missed = (unsaid(edit, root).mT @ (root @ concept)).norm(dim=0)
    moved = (root @ (concept - surrogate)).norm(dim=0)
    relevant = moved > 1e-6 * moved.max()
    return float((missed[relevant] / moved[relevant]).min())


def unsaid(edit: Edit, root: Tensor) -> Tensor:
    """An orthonormal basis, (r, j), of what F M cannot give for any embedding, F = ``root``.

    These are the y with Mᵀ Fᵀ y = 0. Since Mᵀ = I + readᵀ shiftᵀ, z = Fᵀ y is a combination of the
    rows of ``read``: there are at most k of them, and no matrix as large as M is decomposed.
    """
    rows = span(edit.read.mT)
    change = (rows.mT @ edit.read.mT) @ (edit.shift.mT @ rows)
    _, s, vh = torch.linalg.svd(torch.eye(len(change), dtype=change.dtype) + change)
    size = 1 + LowRank(edit.read, edit.shift).norm()
    lost = rows @ vh[s <= RANK_TOLERANCE * size].mT
    # Rows of F are orthogonal. What no map hears is no y: z has to lie in their span.
    length = root.norm(dim=1)[:, None]
    unit = root / length
    heard = unit @ lost
    _, s, vh = torch.linalg.svd(lost - unit.mT @ heard, full_matrices=False)
    mix = vh[s <= UNHEARD**0.5].mT
    return torch.linalg.qr(heard @ mix / length).Q
