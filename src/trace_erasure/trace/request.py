"""What an erasure sets out to do: settings and concepts with everything that was left open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, ResolvedConcept, without_article
from trace_erasure.concepts.resolve import resolve_concepts
from trace_erasure.concepts.steered_prompts import SteeredPrompts, steered_prompts
from trace_erasure.config import ADVERSARIAL_FINETUNE, ClosedFormConfig, EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.math.joint_solve import MOST_CAPACITY
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.utils.words import mentions


@dataclass(frozen=True)
class ResolvedRequest:
    """A request with nothing left open.

    Attributes:
        spec: settings of every stage that will run, and the concepts as records hold them.
        concepts: each with its surrogate.
        retain: prompts that stage 1 holds and reports on.
        captions: ordinary language without the concepts.
        steered: prompts of stage 2, where there is one.
    """

    spec: EraseConfig
    concepts: tuple[ResolvedConcept, ...]
    retain: tuple[str, ...]
    captions: tuple[str, ...]
    steered: SteeredPrompts | None = None


def resolve(
    denoiser: Denoiser,
    spec: EraseConfig,
    captions: Sequence[str] | None = None,
    also_erased: Sequence[Concept] = (),
) -> ResolvedRequest:
    """Fills in what ``spec`` leaves open; see ``resolve_concepts``.

    Raises ``InputError`` for no captions at all, for a state prompt that names a concept or is too
    long, and as ``resolve_concepts`` does.
    """
    captions = captions_for(denoiser, captions)
    if not captions:
        raise InputError("captions is empty. Pass sentences of the model's domain, or None.")
    if spec.hardening == "adversarial" and spec.finetune is None:
        spec = replace(spec, finetune=ADVERSARIAL_FINETUNE)
    in_context = False
    if spec.closed_form is not None:
        asked, chosen = spec.closed_form.mode, with_mode(spec.closed_form, spec, denoiser)
        spec = replace(spec, closed_form=chosen)
        # An equality fulfils few conditions, and spends none of them on rare sentences; and a ridge
        # that only takes the place of one has as many sentences.
        both_ways = asked is not None or denoiser.family.bidirectional
        in_context = both_ways and chosen.mode != "equality"
    exact = spec.closed_form is not None and spec.closed_form.directions is None
    found = resolve_concepts(
        denoiser,
        spec.concepts,
        captions,
        also_erased,
        in_context=in_context,
        search=spec.search,
        exact=exact,
        unnamed=spec.finetune.state_prompts if spec.finetune is not None else (),
    )
    spec = replace(spec, concepts=tuple(concept.plain() for concept in found.concepts))
    steered = None
    if spec.finetune is not None:
        steered = steered_prompts(found.concepts, spec.finetune.state_prompts)
        denoiser.check_length(steered.concept)
        denoiser.check_length(steered.surrogate)
    return ResolvedRequest(spec, found.concepts, found.retain, found.captions, steered)


def retained_prompts(planned: ResolvedRequest, count: int) -> list[str]:
    """``count`` prompts that stage 2 retains: a third neighbours, the rest ordinary captions.

    None names a concept, nor a scene that is steered: its pictures show the concept.

    Raises:
        InputError: no caption is left.
    """
    settings = planned.spec.finetune
    scenes = [] if settings is None else [*map(without_article, settings.state_prompts)]
    captions = [text for text in planned.captions if not mentions(text, scenes)]
    near = [text for text in planned.retain if not mentions(text, scenes)][: count // 3]
    ordinary = Random(planned.spec.seed).sample(captions, min(count, len(captions)))
    if not ordinary:
        raise InputError("no caption without the concept is left to retain. Pass more captions.")
    return [*near, *ordinary[: count - len(near)]]


def with_mode(
    settings: ClosedFormConfig, spec: EraseConfig, denoiser: Denoiser
) -> ClosedFormConfig:
    """``settings`` with a mode: an equality for untruncated and hardened solves; else a ridge
    where a text encoder reads both ways, or where concepts are too many for an equality."""
    if settings.mode is not None:
        return settings
    exact = settings.directions is None or spec.hardening != "off"
    ridge = denoiser.family.bidirectional or _crowded(len(spec.concepts), denoiser)
    return replace(settings, mode="ridge" if ridge and not exact else "equality")


def _crowded(concepts: int, denoiser: Denoiser) -> bool:
    """Whether one direction a concept, two conditions, is more than an equality may use."""
    width = denoiser.embeddings([EMPTY])[0].shape[-1]
    return 2 * concepts * len(denoiser.segments()) > MOST_CAPACITY * width
