"""MACE's fusion of one LoRA a concept into one change, for MACE and for ANT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from trace_erasure.columns import keep_columns
from trace_erasure.corpus import second_moment
from trace_erasure.families.table import TOKENS
from trace_erasure.math import edits
from trace_erasure.math.lowrank import LowRank, from_dense
from trace_erasure.methods.method import Job


def fused(
    job: Job, changes: Sequence[Mapping[str, LowRank]], *, penalty: float, ordinary: float
) -> dict[str, LowRank]:
    """One change of the token maps that acts on every concept's prompts as its own does.

    Args:
        changes: for each of the job's concepts, by map.
        penalty: λ, over the mean squared entry of an ordinary embedding.
        ordinary: weight of the second moment of ordinary language.
    """
    sigma = second_moment(job.denoiser, job.captions)
    moments = []
    for concept in job.concepts:
        columns = keep_columns(job.denoiser, job.prompts([concept], templates=True))
        moments.append(columns @ columns.mT)
    found = {}
    for path, layer in job.denoiser.maps(TOKENS).items():
        present = [(c[path], s) for c, s in zip(changes, moments, strict=True) if path in c]
        if not present:
            continue
        one = edits.fuse(
            [change for change, _ in present],
            # A concept whose change leaves the map alone still asks it to stay alone.
            [s for _, s in present],
            ordinary * sigma
            + sum(
                (s for c, s in zip(changes, moments, strict=True) if path not in c),
                torch.zeros_like(sigma),
            ),
            penalty * float(sigma.diagonal().mean()),
        )
        short = min(layer.weight.shape)
        found[path] = one if one.rank <= short else from_dense(one.dense())
    return {path: change.to(torch.float32) for path, change in found.items()}
