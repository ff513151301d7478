"""What merging is compared with: the same artifacts made one in other ways, and UCE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import CustomRecord
from trace_erasure.baselines.base import BaselineContext, refuse_joint
from trace_erasure.baselines.lora_fusion import fuse_loras
from trace_erasure.baselines.mace import MACE
from trace_erasure.baselines.uce import UCE
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, MergeConfig
from trace_erasure.math.lowrank import LowRank, add
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.merge import merge
from trace_erasure.trace.request import ResolvedRequest


def plain_sum(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """All artifacts on top of each other, as loading every LoRA would do."""
    return _one(parts, add([part.delta for part in parts]), "Sum")


def mace_fusion(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """MACE's closed form, which gives one change that acts on every concept's prompts as its own
    artifact does, with the weights that MACE has published."""
    denoiser, settings = Denoiser(pipe), MACE()
    refuse_joint(denoiser, "MACE's fusion")
    concepts = tuple(share.concept for part in parts for share in part.merge_statistics)
    context = BaselineContext(
        denoiser,
        ResolvedRequest(EraseConfig(concepts), concepts, (), ()),
        captions_for(denoiser),
        0,
        None,
    )
    changes = [part.delta for part in parts]
    one = fuse_loras(context, changes, penalty=settings.penalty, ordinary=settings.ordinary)
    return _one(parts, one, "Fusion")


def uce(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """UCE of the same concepts, from their names alone."""
    named = [share.concept for part in parts for share in part.merge_statistics]
    return UCE().erase(pipe, [Concept(concept.phrase, kind=concept.kind) for concept in named])


def _one(parts: Sequence[Erasure], delta: dict[str, LowRank], title: str) -> Erasure:
    short = {path: change.truncate(min(change.shape))[0] for path, change in delta.items()}
    return Erasure(parts[0].family, parts[0].base, short, {}, CustomRecord(title=title))


METHODS: dict[str, Callable[[Any, Sequence[Erasure]], Erasure]] = {
    "trace": lambda pipe, parts: merge(parts, pipe),
    "ridge only": lambda pipe, parts: merge(parts, pipe, settings=MergeConfig(mode="ridge")),
    "plain sum": plain_sum,
    "mace fusion": mace_fusion,
    "uce": uce,
}
ALONE = ("uce",)
"""Methods that take no artifacts: their cost is their own."""
