"""What an erasure would do, before it is made: along which words, at what cost, how good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from trace_erasure.artifact.verdict import ErasureVerdict
from trace_erasure.concepts.candidates import PROBE_TEMPLATES
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.config import EraseConfig
from trace_erasure.guarantees.forecast import text_change
from trace_erasure.math.lowrank import Delta
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.erase import run
from trace_erasure.trace.request import resolve
from trace_erasure.trace.verdict import caption_names

MOST = 8
"""Names that are listed of those that would change."""


@dataclass(frozen=True)
class Preview:
    """What would be done, and what it would do.

    Attributes:
        spec: the settings with nothing left open.
        concepts: each with its surrogate and the words that go along.
        retain: prompts that are held.
        captions: how many ordinary captions are looked at.
        changed: names with the relative change of the layers' output for each, largest first; None
            where stage 1 is left out, and nothing is known without a picture.
        verdict: on stage 1; None where it has none.
    """

    spec: EraseConfig
    concepts: tuple[ResolvedConcept, ...]
    retain: tuple[str, ...]
    captions: int
    changed: tuple[tuple[str, float], ...] | None
    verdict: ErasureVerdict | None


def preview(pipe: Any, spec: EraseConfig, captions: Sequence[str] | None = None) -> Preview:
    """Solves stage 1 and looks at it. Stage 2 is not trained, and nothing is written.

    Raises ``InputError`` as ``erase`` does.

    Example:
        >>> from trace_erasure import Concept
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> spec = EraseConfig((Concept("fox", "dog"),))
        >>> preview(tiny_stable_diffusion(), spec, CAPTIONS).concepts[0].surrogate
        'dog'
    """
    planned = resolve(Denoiser(pipe), spec, captions)
    changed: tuple[tuple[str, float], ...] | None = None
    verdict: ErasureVerdict | None = None
    if spec.closed_form is not None:
        hardening = "off" if spec.hardening == "adversarial" else spec.hardening
        made = run(pipe, replace(spec, finetune=None, hardening=hardening), captions)
        changed = changed_names(pipe, made.delta, planned.concepts, captions)
        verdict = made.verdict
    return Preview(
        planned.spec,
        planned.concepts,
        tuple(planned.retain),
        len(planned.captions),
        changed,
        verdict,
    )


def changed_names(
    pipe: Any, delta: Delta, erased: Sequence[Concept], captions: Sequence[str] | None = None
) -> tuple[tuple[str, float], ...]:
    """The ``MOST`` names of the captions that a change moves most, with the relative change."""
    denoiser = Denoiser(pipe)
    named = [
        (name, fill_template(PROBE_TEMPLATES[kind], name))
        for kind, names in caption_names(captions_for(denoiser, captions)).items()
        for name in names
        if not any(concept.is_mentioned_in(name) for concept in erased)
    ]
    found = text_change(denoiser, delta, [prompt for _, prompt in named]).tolist()
    ranked = sorted(zip((name for name, _ in named), found, strict=True), key=lambda p: -p[1])
    return tuple(ranked[:MOST])
