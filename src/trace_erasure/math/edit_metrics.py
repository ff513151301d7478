"""What an edit does, in numbers: exact properties of M and W, before any image is made.

``maps_gram`` is G = Σ_l W_lᵀ W_l of the maps that read the stream and ``root`` is G^½, see
``math.subspaces``; embeddings are columns.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import NULL_TOLERANCE, RANK_TOLERANCE, span


def output_norm(
    columns: Float[Tensor, "d n"], maps_gram: Float[Tensor, "d d"]
) -> Float[Tensor, " n"]:
    """‖W e‖ = √(eᵀGe) over all maps for each column."""
    return (columns * (maps_gram @ columns)).sum(0).clamp(min=0).sqrt()


def residual(
    edit: Edit,
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    maps_gram: Float[Tensor, "d d"],
) -> float:
    """‖W′C − WS‖ / ‖W(C − S)‖: 0 is an exact redirect, 1 no effect."""
    missed = output_norm(edit.apply(concept) - surrogate, maps_gram).square().sum()
    total = output_norm(concept - surrogate, maps_gram).square().sum()
    return float((missed / total.clamp(min=1e-300)).sqrt())


def expected_collateral(
    edit: Edit, second_moment: Float[Tensor, "d d"], maps_gram: Float[Tensor, "d d"]
) -> float:
    """tr[ΔW Σ ΔWᵀ] / tr[W Σ Wᵀ]: expected relative squared change on ordinary prompts."""
    change = edit.shift.mT @ maps_gram @ edit.shift
    use = edit.read @ second_moment @ edit.read.mT
    return float((change * use).sum() / (maps_gram * second_moment).sum())


def collateral(
    edit: Edit, columns: Float[Tensor, "d n"], maps_gram: Float[Tensor, "d d"]
) -> Float[Tensor, " n"]:
    """‖ΔW e‖ / ‖W e‖ for each column: the relative change of the maps' output."""
    change = output_norm(edit.shift @ (edit.read @ columns), maps_gram)
    return change / output_norm(columns, maps_gram).clamp(min=1e-300)


def recovery_margin(
    edit: Edit,
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    root: Float[Tensor, "o d"],
) -> float:
    """min over columns c and all vectors e of ‖W c − W′ e‖ / ‖W(c − s)‖.

    Positive: no token embedding at all, typed or learned, reproduces the concept's keys and values.
    ``root`` is G^½ as ``gram_root`` gives it.
    """
    missed = linalg.column_norms(unreachable_outputs(edit, root).mT @ (root @ concept))
    moved = linalg.column_norms(root @ (concept - surrogate))
    relevant = moved > 1e-6 * moved.max()
    return float((missed[relevant] / moved[relevant]).min())


def unreachable_outputs(edit: Edit, root: Float[Tensor, "o d"]) -> Float[Tensor, "o j"]:
    """An orthonormal basis of the outputs that F M gives for no embedding, F = ``root``.

    These are the y with Mᵀ Fᵀ y = 0. Since Mᵀ = I + readᵀ shiftᵀ, z = Fᵀ y is a combination of the
    rows of ``read``: there are at most r of them, and no matrix as large as M is decomposed.
    """
    rows = span(edit.read.mT)
    change = (rows.mT @ edit.read.mT) @ (edit.shift.mT @ rows)
    _, s, vh = linalg.svd(torch.eye(len(change), dtype=change.dtype) + change)
    size = 1 + LowRank(edit.read, edit.shift).norm()
    lost = rows @ vh[s <= RANK_TOLERANCE * size].mT
    # Rows of F are orthogonal. A z outside their span belongs to no y.
    length = linalg.column_norms(root.mT)[:, None]
    unit = root / length
    inside = unit @ lost
    _, s, vh = linalg.svd(lost - unit.mT @ inside)
    mix = vh[s <= NULL_TOLERANCE**0.5].mT
    return linalg.qr(inside @ mix / length)[0]
