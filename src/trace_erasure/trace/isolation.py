"""Trained parts of several artifacts side by side, none of which acts on the others' concepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from trace_erasure.math import isolation as algebra
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.joint import JointSolution


def isolate(
    denoiser: Denoiser, trained: Sequence[Delta], owners: Sequence[int], together: JointSolution
) -> tuple[list[dict[str, LowRank]], dict[str, float]]:
    """Trained parts that leave each other's columns alone.

    Only maps that read text have columns to leave alone; other layers are taken as they are.

    Args:
        trained: the trained part of each artifact.
        owners: of each share in ``together``, the number of its artifact.
        together: the joint solve, which has the columns of all concepts.

    Returns:
        The parts, and the cross-talk ``before`` and ``after``: Σ_{i≠j} ‖Δᵢ Cⱼ‖² over all maps.
    """
    parts: list[dict[str, LowRank]] = [dict(part) for part in trained]
    before = after = 0.0
    for stream, solved in together.solved.items():
        own = [
            [
                pairs.concept
                for pairs, share in zip(solved.pairs, together.owners, strict=True)
                if owners[share] == i
            ]
            for i in range(len(parts))
        ]
        columns = [torch.cat(found, dim=1) for found in own]
        sigma = together.sigmas[stream]
        width = len(sigma)
        for path in denoiser.maps(stream):
            having = [i for i, part in enumerate(parts) if path in part]
            if not having:
                continue
            changes = {i: parts[i][path].to(torch.float64) for i in having}
            before += _cross_talk(changes, columns, width)
            for i in having:
                change = changes[i]
                others = torch.cat([c[:, :0] if j == i else c for j, c in enumerate(columns)], 1)
                down = change.down.clone()
                down[:, :width] = algebra.isolated_down(down[:, :width], columns[i], others, sigma)
                changes[i] = LowRank(down, change.up)
            after += _cross_talk(changes, columns, width)
            for i in having:
                parts[i][path] = changes[i].to(torch.float32)
    return parts, {"before": before, "after": after}


def _cross_talk(
    changes: Mapping[int, LowRank], columns: Sequence[torch.Tensor], width: int
) -> float:
    """Σ_{i≠j} ‖Δᵢ Cⱼ‖² at one map."""
    text_facing = {i: LowRank(change.down[:, :width], change.up) for i, change in changes.items()}
    return algebra.cross_talk(text_facing, columns)
