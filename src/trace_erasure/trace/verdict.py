"""Judges a closed-form edit by figures that need no picture and no pass of the network."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.verdict import ErasureVerdict, verdict_by
from trace_erasure.concepts import candidates
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, ResolvedConcept
from trace_erasure.concepts.readings import advice, readings
from trace_erasure.errors import FailedErasureWarning, InputError
from trace_erasure.math import edit_metrics
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.closed_form import ClosedFormEdit, held_out_columns

NAMED_KINDS = ("object", "style", "identity")
NOT_REACHED = 1.0
"""The residual of a reading whose prompts cannot be compared with the surrogate's, such as one
that is the surrogate: nothing of it goes."""


def judge(
    denoiser: Denoiser,
    asked: Sequence[Concept],
    concepts: Sequence[ResolvedConcept],
    edit: ClosedFormEdit,
    mode: str | None,
    captions: Sequence[str] | None = None,
) -> ErasureVerdict | None:
    """The verdict on a closed-form edit; None for a mode without calibrated limits.

    Args:
        asked: the concepts as they were given.
        concepts: the same with their surrogates.
        captions: what names are known from, which phrases may have been meant to say.
    """
    names = caption_names(captions_for(denoiser, captions))
    other = [
        (reading, residual(denoiser, edit, reading.phrase, reading.kind, concept.surrogate))
        for given, concept in zip(asked, concepts, strict=True)
        if given.only_with is None
        for reading in readings(given, names)
    ]
    worst = max(other, key=lambda pair: pair[1], default=None)
    certificate = edit.certificate
    figures = {
        "unreached": worst[1] if worst else 0.0,
        "residual": certificate.residual_held_out,
        "collateral": certificate.expected_collateral,
        "retained": max(certificate.retained.values(), default=0.0),
        "empty_prompt": certificate.empty_prompt,
    }
    open_ = not any(concept.sensitive for concept in asked)
    said = {"unreached": f"{worst[0].phrase!r} is not reached"} if worst and open_ else {}
    pairs = zip(asked, concepts, strict=True)
    next_steps = [
        text
        for own, found in pairs
        if not own.sensitive
        for text in advice(own, found.surrogate, names)
    ]
    return verdict_by(figures, mode or "", said, next_steps)


def warn_if_failed(erasure: Erasure, stacklevel: int = 2) -> None:
    """Warns of an erasure that failed, with why and what to do next."""
    if erasure.complaint:
        warnings.warn(erasure.complaint, FailedErasureWarning, stacklevel=stacklevel + 1)


def residual(
    denoiser: Denoiser, edit: ClosedFormEdit, phrase: str, kind: str, surrogate: str
) -> float:
    """Of another phrase than the edit's own, in wordings that no solve sees; the worst stream's."""
    try:
        concept = ResolvedConcept(phrase, surrogate=surrogate, kind=kind)
        found = []
        for stream, own in edit.edits.items():
            columns = held_out_columns(denoiser, concept, stream)
            root = edit.roots[stream]
            found.append(edit_metrics.residual(own, columns.concept, columns.surrogate, root))
        return max(found)
    except InputError:
        return NOT_REACHED


def caption_names(captions: Sequence[str]) -> dict[str, list[str]]:
    """Kind to the names that captions have of it."""
    return {kind: list(candidates.caption_names(captions, kind)) for kind in NAMED_KINDS}
