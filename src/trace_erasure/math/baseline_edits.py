"""Closed-form edits of other methods, in the form M = I + shift @ read of ``closed_form``.

Embeddings are columns, and W′ = W M for every map W that reads them. All functions work in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
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


def null_basis(moment: Float[Tensor, "d d"], threshold: float) -> Float[Tensor, "d r"]:
    """An orthonormal basis of the directions of a second moment with little energy.

    Eigenvalues below ``threshold`` times the mean eigenvalue count as none.
    """
    values, vectors = linalg.eigh(moment)
    return vectors[:, values < threshold * values.mean()]


def speed_edit(
    concept: Float[Tensor, "d m"],
    anchor: Float[Tensor, "d m"],
    free: Float[Tensor, "d r"],
    hold: Float[Tensor, "d n"],
    penalty: float,
) -> Edit:
    """SPEED's edit: it stays in a subspace and leaves given columns exactly as they are.

    Minimises ‖W′C − W C_a‖² / m + ρ‖W′ − W‖² among the W′ − W = X Nᵀ with X Nᵀ K = 0. With
    c = NᵀC / √m, M = (c cᵀ + ρI)⁻¹ and k = NᵀK the Lagrange multipliers give (arXiv 2503.07392)

        X = W (C_a − C) Cᵀ N / m · [I − M k (kᵀ M k)⁺ kᵀ] M.

    Args:
        concept: columns C.
        anchor: columns C_a to turn them into.
        free: orthonormal columns N, the subspace in which the edit may read.
        hold: columns K to keep exactly.
        penalty: ρ, relative to the mean squared entry of ``concept``.
    """
    m = concept.shape[1]
    c, k = free.mT @ concept, free.mT @ hold
    ridge = penalty * concept.square().mean()
    inner = linalg.inv(c @ c.mT / m + ridge * torch.eye(len(c), dtype=c.dtype))
    # Held columns that have no part in the subspace are held already.
    reach = linalg.column_norms(k) > 1e-6 * linalg.column_norms(hold)
    k = k[:, reach]
    inverse = linalg.pinv(k.mT @ inner @ k, 1e-10, hermitian=True)
    read = (c.mT / m) @ (inner - inner @ k @ inverse @ k.mT @ inner)
    return Edit(anchor - concept, read @ free.mT, 0.0, 0.0)


def fused_change(
    changes: Sequence[LowRank],
    moments: Sequence[Float[Tensor, "d d"]],
    keep: Float[Tensor, "d d"],
    penalty: float,
) -> LowRank:
    """Several changes of one map as a single one that does what each does on its own inputs.

    Minimises Σ_i ‖(ΔW − ΔW_i) C_i‖² + tr[ΔW Σ ΔWᵀ] + λ‖ΔW‖², which has the solution
    ΔW = (Σ_i ΔW_i S_i)(Σ_i S_i + Σ + λI)⁻¹: MACE's fusion as a change (Lu et al. 2024, arXiv
    2403.06135, eq. 6). Its rank is at most the sum of theirs.

    Args:
        changes: ΔW_i.
        moments: S_i = C_i C_iᵀ.
        keep: Σ, of the inputs on which the map should stay as it is.
        penalty: λ.
    """
    system = keep + torch.stack(list(moments)).sum(0)
    system = system + penalty * torch.eye(len(keep), dtype=keep.dtype)
    downs = [
        linalg.solve(system, moment @ change.down.to(moment).mT).mT
        for change, moment in zip(changes, moments, strict=True)
    ]
    return LowRank(torch.cat(downs), torch.cat([change.up.to(keep) for change in changes], dim=1))


def kmeans_centres(
    points: Float[Tensor, "d n"], count: int, rounds: int = 20
) -> Float[Tensor, "d m"]:
    """At most ``count`` k-means centres of the columns of ``points``; deterministic.

    Starts from the column nearest to the mean, then each time from the farthest one left.
    """
    mean = points.mean(dim=1, keepdim=True)
    chosen = [int(linalg.column_norms(points - mean).argmin())]
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
