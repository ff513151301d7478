"""What artifacts must agree on before they act together: one model, and no word at odds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.merge_statistics import MergeStatistics
from trace_erasure.concepts import candidates
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.resolve import erased_phrases
from trace_erasure.errors import InputError
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import Fingerprint, difference
from trace_erasure.trace.gather_statistics import gather_statistics, gram_roots
from trace_erasure.utils.words import mentions, replace_phrase

log = logging.getLogger("trace_erasure")


def check(artifacts: Sequence[Erasure], base: Fingerprint) -> None:
    """Raises ``InputError`` where the artifacts cannot be merged on the model ``base``."""
    if not artifacts:
        raise InputError("nothing to merge. Give at least one artifact.")
    for artifact in artifacts:
        title = artifact.record.title
        if not artifact.merge_statistics:
            raise InputError(
                f"{title!r} has no columns for a joint solve: it was merged already, or made "
                "without stage 1 or by an older version. Merge the artifacts of single concepts."
            )
        change = difference(artifact.base, base)
        if change:
            raise InputError(
                f"{title!r} was made on another base model ({change}). Use that model, or make "
                "the erasure again on this one."
            )
    names = [
        part.concept.name.lower() for artifact in artifacts for part in artifact.merge_statistics
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{', '.join(twice)} is erased by two artifacts. Give one of them.")
    if len({frozenset(part.streams) for a in artifacts for part in a.merge_statistics}) > 1:
        raise InputError(
            "some artifacts redirect the pooled vector and some do not. Make them with the same "
            "closed_form.pooled."
        )


def check_strengths(artifacts: Sequence[Erasure], strengths: Sequence[float]) -> None:
    """Raises ``InputError`` where there is not one strength in range for each artifact."""
    if len(strengths) != len(artifacts):
        raise InputError(
            f"{len(strengths)} strengths for {len(artifacts)} artifacts. Give one for each."
        )
    for strength in strengths:
        adapters.check_strength(strength)


def ordinary(captions: Sequence[str], statistics: Sequence[MergeStatistics]) -> tuple[str, ...]:
    """``captions`` that ask for none of the concepts. Raises ``InputError`` where none is left."""
    concepts = [part.concept for part in statistics]
    kept = tuple(t for t in captions if not any(concept.is_mentioned_in(t) for concept in concepts))
    if not kept:
        raise InputError("no caption without the concepts is left. Pass more captions.")
    return kept


def reconcile(
    denoiser: Denoiser, statistics: Sequence[MergeStatistics], captions: Sequence[str]
) -> list[MergeStatistics]:
    """Statistics that do not contradict each other: nothing in one names what another erases.

    Surrogates that are erased too are proposed anew, words in sentences give way to their
    surrogates, retained prompts are left out. Only statistics that change are encoded again.

    Raises:
        InputError: a concept is erased beside something only, and that is erased anyway.
    """
    concepts = _surrogates_that_stay(denoiser, [part.concept for part in statistics], captions)
    instead = {
        phrase.lower(): concept.surrogate
        for concept in concepts
        if concept.only_with is None
        for phrase in concept.phrases
    }

    @cache  # many concepts have the same sentences and neighbours
    def told(template: str) -> str:
        return _without(template, instead)

    @cache
    def named(prompt: str) -> bool:
        return any(other.is_mentioned_in(prompt) for other in concepts)

    reconciled, roots = [], None
    for part, concept in zip(statistics, concepts, strict=True):
        sentences = tuple(dict.fromkeys(told(t) for t in concept.sentences))
        if sentences != concept.sentences:
            concept = replace(concept, templates=sentences)
        stays = [
            prompt for prompt in next(iter(part.streams.values())).retained if not named(prompt)
        ]
        if concept != part.concept:
            roots = roots or gram_roots(denoiser)
            roots = {name: roots[name] for name in part.streams}
            reconciled.append(gather_statistics(denoiser, concept, stays, roots))
            continue
        streams = {
            name: replace(stream, retained={prompt: stream.retained[prompt] for prompt in stays})
            for name, stream in part.streams.items()
        }
        reconciled.append(MergeStatistics(concept, streams))
    return reconciled


def _surrogates_that_stay(
    denoiser: Denoiser, concepts: Sequence[ResolvedConcept], captions: Sequence[str]
) -> list[ResolvedConcept]:
    """The concepts, with another surrogate where theirs is erased too."""
    erased = sorted(erased_phrases(concepts))
    found = []
    gone = cache(lambda surrogate: mentions(surrogate, erased))
    for concept in concepts:
        other = concept.only_with
        if other is not None and mentions(other, erased):
            raise InputError(
                f"{concept.name!r}: {other!r} is erased anyway. Leave one of the two out."
            )
        if gone(concept.surrogate):
            named = candidates.caption_names(captions, concept.kind)
            names = {name: n for name, n in named.items() if not mentions(name, erased)}
            phrases = candidates.caption_phrases(captions, concept.kind)
            others = [c for c in concepts if c.kind == concept.kind and c.name != concept.name]
            open_ = concept.unresolved()
            surrogate = candidates.find_candidates(
                denoiser, open_, names, phrases, others
            ).surrogate
            log.info(
                "surrogate for %r: %r, since %r is erased too",
                concept.name,
                surrogate,
                concept.surrogate,
            )
            concept = replace(concept, surrogate=surrogate)
        found.append(concept)
    return found


def _without(template: str, instead: Mapping[str, str]) -> str:
    """``template`` with words that are erased replaced by what is shown ``instead``."""
    for phrase, surrogate in instead.items():
        template = replace_phrase(template, phrase, surrogate)
    return template
