"""MACE's fusion of one LoRA a concept into one change, for MACE and for ANT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from trace_erasure.baselines.base import BaselineContext
from trace_erasure.concepts.alignment import keep_columns
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.math import baseline_edits
from trace_erasure.math.lowrank import LowRank, compact
from trace_erasure.pipeline.families.family import TOKENS


def fuse_loras(
    context: BaselineContext,
    changes: Sequence[Mapping[str, LowRank]],
    *,
    penalty: float,
    ordinary: float,
) -> dict[str, LowRank]:
    """One change of the token maps that acts on every concept's prompts as its own does.

    Args:
        changes: for each of the context's concepts, by map.
        penalty: λ, over the mean squared entry of an ordinary embedding.
        ordinary: weight of the second moment of ordinary language.
    """
    sigma = second_moment(context.denoiser, context.captions)
    moments = []
    for concept in context.concepts:
        columns = keep_columns(context.denoiser, context.prompts([concept], templates=True))
        moments.append(columns @ columns.mT)
    found = {}
    for path in context.denoiser.maps(TOKENS):
        pairs = list(zip(changes, moments, strict=True))
        own = [(change[path], moment) for change, moment in pairs if path in change]
        if not own:
            continue
        # A concept whose change leaves this map alone wants it left alone.
        keep = ordinary * sigma
        for change, moment in pairs:
            if path not in change:
                keep = keep + moment
        one = baseline_edits.fused_change(
            [change for change, _ in own],
            [moment for _, moment in own],
            keep,
            penalty * float(sigma.diagonal().mean()),
        )
        found[path] = compact(one).to(torch.float32)
    return found
