"""Trained changes side by side: what one does to another's columns, and how to undo that.

Notation as in ``closed_form``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import left_inverse
from trace_erasure.math.joint_solve import MOST_CAPACITY
from trace_erasure.math.lowrank import LowRank


def cross_talk(changes: Mapping[int, LowRank], concepts: Sequence[Float[Tensor, "d _"]]) -> float:
    """Σ_{i≠j} ‖Δᵢ Cⱼ‖²: what the trained part of one concept does to another's columns."""
    return sum(
        float((change.up @ (change.down @ columns)).square().sum())
        for i, change in changes.items()
        for j, columns in enumerate(concepts)
        if i != j
    )


def isolated_down(
    down: Float[Tensor, "r d"],
    own: Float[Tensor, "d m"],
    others: Float[Tensor, "d n"],
    second_moment: Float[Tensor, "d d"],
) -> Float[Tensor, "r d"]:
    """``down`` with no effect on ``others`` and the same effect on ``own``.

    The nearest such matrix in tr[(D′ − D) Σ (D′ − D)ᵀ]. Where the columns leave no room, or depend
    on each other, it is the least-squares compromise of the ridge form.
    """
    if others.shape[1] == 0:
        return down
    if own.shape[1] + others.shape[1] <= MOST_CAPACITY * len(own):
        inverse, _ = left_inverse(torch.cat([own, others], dim=1), second_moment)
        return down - (down @ others) @ inverse[own.shape[1] :]
    held = second_moment + own @ own.mT
    return linalg.solve(held + others @ others.mT, held @ down.mT).mT
