"""What an erasure sets out to do: surrogates named, neighbours found, prompts written out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from trace_erasure.concepts import candidates
from trace_erasure.concepts.captions import captions_or_broad
from trace_erasure.concepts.concept import Concept, fill_template, single_mention_prompts
from trace_erasure.concepts.context_templates import caption_templates
from trace_erasure.config import ADVERSARIAL_FINETUNE, ClosedFormConfig, EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Family

log = logging.getLogger("trace_erasure")

COMBINATION_NEIGHBOURS = 6
"""How many neighbours stand beside each half of what is erased in combination only."""


@dataclass(frozen=True)
class ResolvedRequest:
    """A resolved spec: surrogates named, neighbours found, prompts written out.

    Attributes:
        spec: with a surrogate for every concept, and settings for every stage that will run.
        retain: prompts that stage 1 holds and reports on.
        captions: ordinary language without the concept.
    """

    spec: EraseConfig
    retain: tuple[str, ...]
    captions: tuple[str, ...]


def resolve(
    denoiser: Denoiser,
    spec: EraseConfig,
    captions: Sequence[str] | None = None,
    beside: Sequence[Concept] = (),
) -> ResolvedRequest:
    """Fills in what the user left open, and logs every choice made for them.

    ``beside``: concepts that are erased too, but not here.
    """
    captions = captions_or_broad(captions)
    if not captions:
        raise InputError("captions is empty. Pass sentences of the model's domain, or None.")
    if spec.hardening == "adversarial" and spec.finetune is None:
        spec = replace(spec, finetune=ADVERSARIAL_FINETUNE)
    resolved, retain = [], []
    # One concept may well be the other's neighbour.
    erased = erased_phrases((*spec.concepts, *beside))
    if spec.closed_form is not None:
        spec = replace(spec, closed_form=with_mode(spec.closed_form, spec, denoiser.family))
    # An equality fulfils few conditions, and spends none of them on rare sentences.
    in_context = spec.closed_form is not None and spec.closed_form.mode != "equality"
    kinds = {concept.kind for concept in spec.concepts} if in_context else ()
    lent = {kind: caption_templates(captions, kind) for kind in kinds}
    given = {concept.surrogate.lower() for concept in spec.concepts if concept.surrogate}
    for concept in spec.concepts:
        known = candidates.caption_names(captions, concept.kind)
        names = {name: n for name, n in known.items() if name.lower() not in erased}
        spoken = candidates.caption_phrases(captions, concept.kind)
        others = [c for c in spec.concepts if c.kind == concept.kind and c is not concept]
        near = candidates.find_candidates(denoiser, concept, names, spoken, others)
        heard = [text for text in near.synonyms if text.lower() not in erased | given]
        if concept.surrogate is None:
            concept = replace(concept, surrogate=near.surrogate)
            log.info("surrogate for %r: %r (proposed)", concept.phrase, near.surrogate)
        if heard:
            words = len(concept.phrase.split())
            short = [text for text in heard if len(text.split()) <= words]
            longer = [text for text in heard if len(text.split()) > words]
            concept = replace(
                concept,
                synonyms=(*concept.synonyms, *short),
                descriptions=(*concept.descriptions, *longer),
            )
            log.info("heard as %r too: %s", concept.phrase, ", ".join(heard))
        if concept.only_with is not None:
            # Each half has to stay beside other things, too.
            words = [w for w in near.retain if w.lower() != concept.only_with.lower()]
            concept = replace(concept, retain=(*concept.retain, *words[:COMBINATION_NEIGHBOURS]))
            retain += single_mention_prompts(concept)
        if in_context and not concept.templates and concept.only_with is None:
            others = (*spec.concepts, *beside)
            clean = [t for t in lent[concept.kind] if not any(c.is_mentioned_in(t) for c in others)]
            sentences = dict.fromkeys((*concept.sentences, *clean))
            concept = replace(concept, templates=tuple(sentences))
        frame = candidates.PROBE_TEMPLATES[concept.kind]
        retain += [fill_template(frame, word) for word in (*concept.retain, *near.retain)]
        resolved.append(concept)
    names = erased_phrases(resolved)
    for concept in resolved:
        if (concept.surrogate or "").lower() in names:
            raise InputError(
                f"the surrogate of {concept.phrase!r} is {concept.surrogate!r}, which is erased "
                "too. Name another surrogate."
            )
    everything = (*resolved, *beside)

    def stays(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(text for text in texts if not any(c.is_mentioned_in(text) for c in everything))

    # What one concept has as its neighbour may be a synonym of another's.
    spec = replace(spec, concepts=tuple(resolved))
    return ResolvedRequest(spec, stays(dict.fromkeys(retain)), stays(captions))


def with_mode(settings: ClosedFormConfig, spec: EraseConfig, family: Family) -> ClosedFormConfig:
    """``settings`` with a mode.

    Untruncated and hardened solves are equalities.
    """
    if settings.mode is not None:
        return settings
    exact = settings.directions is None or spec.hardening != "off"
    return replace(settings, mode="ridge" if family.bidirectional and not exact else "equality")


def erased_phrases(concepts: Sequence[Concept]) -> set[str]:
    """Phrases that no sentence will be heard with, in lower case."""
    return {p.lower() for c in concepts if c.only_with is None for p in c.phrases}


def prompt_pairs(concepts: Sequence[Concept]) -> tuple[list[str], list[str], list[int]]:
    """Concept prompts, the same with the surrogate in its place, and whose they are.

    Phrases take turns, so that a few trajectories visit every one of them.
    """
    by_phrase = []
    for i, concept in enumerate(concepts):
        surrogate, count = concept.surrogate or "", len(concept.sentences)
        wordings = (*concept.wordings(), *concept.wordings(phrases=concept.descriptions))
        both = [(fill_template(t, p), fill_template(t, surrogate), i) for t, p in wordings]
        by_phrase += [both[i : i + count] for i in range(0, len(both), count)]
    found = [pair for turn in zip_longest(*by_phrase) for pair in turn if pair]
    return [one for one, _, _ in found], [one for _, one, _ in found], [i for _, _, i in found]
