"""Many artifacts into one: a joint closed form, trained parts side by side, one ordinary LoRA."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.provenance import heading, versions
from trace_erasure.artifact.record import (
    CrossTalk,
    Discarded,
    Integration,
    MergeDetails,
    MergedRecord,
)
from trace_erasure.artifact.verdict import worst_of
from trace_erasure.concepts.captions import captions_for
from trace_erasure.config import MergeConfig
from trace_erasure.math.lowrank import LowRank, add, scaled
from trace_erasure.pipeline import conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.pipeline.soundness import check_sound
from trace_erasure.trace import conflicts, joint
from trace_erasure.trace.integration import integrate
from trace_erasure.trace.isolation import isolate
from trace_erasure.trace.verdict import warn_if_failed
from trace_erasure.utils.arguments import check_kind, check_list
from trace_erasure.utils.numbers import check_flag, check_seed

log = logging.getLogger("trace_erasure")


@torch.enable_grad()  # a caller under no_grad may integrate all the same
def merge(
    artifacts: Sequence[Erasure],
    pipe: Any,
    *,
    strengths: Sequence[float] | None = None,
    settings: MergeConfig = MergeConfig(),
    captions: Sequence[str] | None = None,
    seed: int = 0,
    dense: bool = False,
) -> Any:
    """One erasure of everything that ``artifacts`` erase; the pipeline is left as it was.

    A pure function of the artifacts: to add or to remove one, merge the new list. No artifact is
    trained again. What one artifact takes for granted and another erases (a surrogate, a word of
    a sentence, a neighbour to retain) is replaced, and the choice is logged.

    Args:
        artifacts: made on this base model by ``erase``, not by ``merge``.
        strengths: one an artifact, 0 to 2, on top of the strength it was saved at.
        settings: see ``MergeConfig``.
        captions: ordinary language of the model's domain; default: the package's list.
        seed: of the integration finetune.
        dense: give a copy of the pipeline with changed weights instead.

    Returns:
        An ``Erasure``, or a pipeline where ``dense``.

    Raises:
        InputError: for artifacts of another model, without columns for a joint solve, or that
            erase the same thing twice; for strengths out of range.
        NonFiniteError: when the integration finetune diverges; the pipeline is restored.

    Example:
        >>> from trace_erasure import Concept, erase, merge
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> pipe = tiny_stable_diffusion()
        >>> words = (("fox", "dog"), ("horse", "dog"))
        >>> parts = [erase(pipe, Concept(a, b), captions=CAPTIONS) for a, b in words]
        >>> merge(parts, pipe, captions=CAPTIONS).record.title
        'Erases: fox, horse'
    """
    started = time.perf_counter()
    artifacts = list(check_list("artifacts", artifacts, Erasure) or ())
    check_list("strengths", strengths, (int, float), optional=True)
    check_kind("settings", settings, MergeConfig)
    check_seed(seed)
    check_flag("dense", dense)
    operation = conditions.MEASURE if settings.integrate is None else conditions.TRAIN
    conditions.check(pipe, operation, *([conditions.FUSE] if dense else []))
    denoiser = Denoiser(pipe)
    check_sound(denoiser)
    base = fingerprint(pipe)
    strengths = [1.0] * len(artifacts) if strengths is None else list(strengths)
    conflicts.check(artifacts, base)
    conflicts.check_strengths(artifacts, strengths)
    captions = captions_for(denoiser, captions)
    # An artifact of several concepts has statistics for each, and one trained part for all.
    owners = [i for i, artifact in enumerate(artifacts) for _ in artifact.merge_statistics]
    statistics = [part for artifact in artifacts for part in artifact.merge_statistics]
    saved = [strengths[i] * artifacts[i].strength for i in owners]
    reconciled = conflicts.reconcile(denoiser, statistics, captions)
    concepts = [part.concept for part in reconciled]
    ordinary = conflicts.ordinary(captions, reconciled)
    together = joint.solve(denoiser, reconciled, saved, settings, ordinary)

    parts, talk = isolate(denoiser, [a.finetuned for a in artifacts], owners, together)
    tuned = add([scaled(part, s) for part, s in zip(parts, strengths, strict=True)])
    record: Integration | None = None
    if settings.integrate is not None:
        whole = add([together.delta, tuned])
        alone = [(a.delta, s) for a, s in zip(artifacts, strengths, strict=True)]
        extra, record = integrate(
            denoiser, whole, alone, owners, concepts, ordinary, settings.integrate, seed
        )
        tuned = add([tuned, extra])
    closed, tuned, lost = _within(together.delta, tuned, settings.rank)
    details = MergeDetails(
        parts=tuple(a.name for a in artifacts),
        strengths=tuple(strengths),
        concepts=tuple(concepts),
        settings=settings,
        capacity=together.capacity,
        cross_talk=CrossTalk(**talk),
        discarded=Discarded(**lost),
        integrate=record,
        seed=seed,
    )
    erasure = Erasure(
        family=denoiser.family.name,
        base=base,
        closed_form=closed,
        finetuned=tuned,
        record=MergedRecord(
            **heading(concepts),
            merged=details,
            verdict=worst_of({part.record.title: part.verdict for part in artifacts}),
            versions=versions(),
        ),
    )
    log.info("merged %d concepts: %.1f s", len(concepts), time.perf_counter() - started)
    warn_if_failed(erasure)
    return erasure.fuse(pipe) if dense else erasure


def _within(
    closed: dict[str, LowRank], tuned: dict[str, LowRank], rank: int | None
) -> tuple[dict[str, LowRank], dict[str, LowRank], dict[str, float]]:
    """Both parts within ``rank``, and the fraction of energy that each had to give up, at worst.

    The closed form has its rank first: what it promises is exact. Without a budget the parts
    are only freed of rank that they do not need.
    """
    lost = {"closed_form": 0.0, "finetuned": 0.0}
    kept: dict[str, dict[str, LowRank]] = {"closed_form": {}, "finetuned": {}}
    for name, delta in (("closed_form", closed), ("finetuned", tuned)):
        for path, change in delta.items():
            room = min(change.shape)
            if rank is not None:
                first = kept["closed_form"].get(path)
                room = min(room, rank - (first.rank if first is not None else 0))
            if change.rank > room:
                change, share = change.truncate(room)
                lost[name] = max(lost[name], share)
            if change.rank:
                kept[name][path] = change
    for name, share in lost.items():
        if share > 1e-6:
            log.warning("rank %s discards %.2g of the energy of %s", rank, share, name)
    return kept["closed_form"], kept["finetuned"], lost
