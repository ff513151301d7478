"""Closed-form edits of other methods, in the form M = I + shift @ read of ``closed_form``.

Embeddings are columns, W′ = W M for every map W that reads them, and G = Σ_l W_lᵀ W_l. All
functions work in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank


def compose(first: Edit, then: Edit) -> Edit:
    """The edit M₁ M₂: ``then`` is made on the maps that ``first`` has edited already.

    (I + s₁r₁)(I + s₂r₂) = I + [s₁, s₂ + s₁r₁s₂] [r₁; r₂].
    """
    return Edit(
        torch.cat([first.shift, then.shift + first.shift @ (first.read @ then.shift)], dim=1),
        torch.cat([first.read, then.read]),
        max(first.discarded, then.discarded),
        max(first.capacity, then.capacity),
    )


def adversarial(edit: Edit, concept: Tensor, maps_gram: Tensor, penalty: float) -> Tensor:
    """Embeddings by which the edited maps give what the original ones gave for ``concept``.

    argmin_e Σ_l ‖W′_l e − W_l c‖² + λ‖e‖² = (MᵀGM + λI)⁻¹ MᵀG c for each column c, (d, m); the
    regularised attack of RECE, over all maps at once (Gong et al. 2024, arXiv 2407.12383).
    """
    matrix = edit.matrix()
    back = matrix.mT @ maps_gram
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.linalg.solve(back @ matrix + penalty * eye, back @ concept)


def null_basis(moment: Tensor, threshold: float) -> Tensor:
    """An orthonormal basis, (d, p), of the directions of a second moment with little energy.

    Eigenvalues below ``threshold`` times the mean eigenvalue count as none.
    """
    values, vectors = torch.linalg.eigh(moment)
    return vectors[:, values < threshold * values.mean()]


def speed_edit(concept: Tensor, anchor: Tensor, free: Tensor, hold: Tensor, penalty: float) -> Edit:
    """SPEED's edit: it lives in a subspace and leaves given columns exactly as they are.

    Minimises ‖W′C − W C_a‖² / m + ρ‖W′ − W‖² among the W′ − W = X Nᵀ with X Nᵀ K = 0. With
    c = NᵀC / √m, M = (c cᵀ + ρI)⁻¹ and k = NᵀK the Lagrange multipliers give

        X = W (C_a − C) Cᵀ N / m · [I − M k (kᵀ M k)⁺ kᵀ] M.

    Args:
        concept: (d, m) columns C.
        anchor: (d, m) columns C_a to turn them into.
        free: (d, p) orthonormal columns N, the subspace in which the edit may read.
        hold: (d, n) columns K to keep exactly.
        penalty: ρ, relative to the mean squared entry of ``concept``.
    """
    m = concept.shape[1]
    c, k = free.mT @ concept, free.mT @ hold
    ridge = penalty * concept.square().mean()
    inner = torch.linalg.inv(c @ c.mT / m + ridge * torch.eye(len(c), dtype=c.dtype))
    # Held columns that have no part in the subspace are held already.
    reach = k.norm(dim=0) > 1e-6 * hold.norm(dim=0)
    k = k[:, reach]
    inverse = torch.linalg.pinv(k.mT @ inner @ k, rtol=1e-10, hermitian=True)
    read = (c.mT / m) @ (inner - inner @ k @ inverse @ k.mT @ inner)
    return Edit(anchor - concept, read @ free.mT, 0.0, 0.0)


def fused_change(
    changes: Sequence[LowRank], moments: Sequence[Tensor], keep: Tensor, penalty: float
) -> LowRank:
    """Several changes of one map as a single one that does what each does on its own inputs.

    Minimises Σ_i ‖(ΔW − ΔW_i) C_i‖² + tr[ΔW Σ ΔWᵀ] + λ‖ΔW‖², which has the solution
    ΔW = (Σ_i ΔW_i S_i)(Σ_i S_i + Σ + λI)⁻¹: MACE's fusion as a change (Lu et al. 2024, arXiv
    2403.06135, eq. 6). Its rank is at most the sum of theirs.

    Args:
        changes: ΔW_i.
        moments: (d, d) S_i = C_i C_iᵀ.
        keep: (d, d) Σ, of the inputs on which the map should stay as it is.
        penalty: λ.
    """
    system = keep + torch.stack(list(moments)).sum(0)
    system = system + penalty * torch.eye(len(keep), dtype=keep.dtype)
    downs = [
        torch.linalg.solve(system, moment @ change.down.to(moment).mT).mT
        for change, moment in zip(changes, moments, strict=True)
    ]
    return LowRank(torch.cat(downs), torch.cat([change.up.to(keep) for change in changes], dim=1))


def kmeans_centres(points: Tensor, count: int, rounds: int = 20) -> Tensor:
    """``count`` k-means centres of the columns of ``points``, (d, count); deterministic.

    Starts from the column nearest to the mean, then each time from the farthest one left.
    """
    mean = points.mean(dim=1, keepdim=True)
    chosen = [int((points - mean).norm(dim=0).argmin())]
    while len(chosen) < min(count, points.shape[1]):
        chosen.append(int(torch.cdist(points.mT, points[:, chosen].mT).amin(1).argmax()))
    found = points[:, chosen]
    for _ in range(rounds):
        nearest = torch.cdist(points.mT, found.mT).argmin(1)
        found = torch.stack(
            [
                points[:, nearest == i].mean(1) if (nearest == i).any() else found[:, i]
                for i in range(found.shape[1])
            ],
            dim=1,
        )
    return found
