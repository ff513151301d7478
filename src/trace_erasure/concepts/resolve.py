"""Resolves concepts: names surrogates, adds synonyms and templates, lists prompts to retain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

from trace_erasure.concepts import candidates
from trace_erasure.concepts.candidates import PROBE_TEMPLATES, Candidates
from trace_erasure.concepts.captions import that_fit
from trace_erasure.concepts.concept import (
    Concept,
    ResolvedConcept,
    fill_template,
    single_mention_prompts,
    without_article,
)
from trace_erasure.concepts.context_templates import caption_templates
from trace_erasure.concepts.names import as_meant, vocabulary
from trace_erasure.concepts.templates import usual_templates
from trace_erasure.concepts.word_search import search_words
from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.prompts import unknown_words
from trace_erasure.utils.words import fold, mentions

log = logging.getLogger("trace_erasure")

Search = Callable[
    [Denoiser, Concept, Mapping[str, int], Sequence[str], Sequence[Concept]], Candidates
]
SEARCHES: dict[str, Search] = {"words": search_words, "network": candidates.find_candidates}
"""How candidates near a concept are found."""

COMBINATION_NEIGHBOURS = 6
"""Neighbours that are retained beside each half of a concept that is erased in combination only."""


@dataclass(frozen=True)
class ResolvedConcepts:
    """Concepts with everything that was left open.

    Attributes:
        concepts: each with its surrogate, synonyms, descriptions and templates.
        retain: prompts of what is near them, without them.
        captions: ordinary language without them.
    """

    concepts: tuple[ResolvedConcept, ...]
    retain: tuple[str, ...]
    captions: tuple[str, ...]


def resolve_concepts(
    denoiser: Denoiser,
    concepts: Sequence[Concept],
    captions: Sequence[str],
    also_erased: Sequence[Concept] = (),
    *,
    in_context: bool = False,
    search: str = "words",
    exact: bool = False,
    unnamed: Sequence[str] = (),
) -> ResolvedConcepts:
    """Fills in what each concept leaves open, and logs every choice.

    Args:
        captions: ordinary language, where names of the same kind are found.
        also_erased: concepts that are erased elsewhere, and are no surrogate and not retained.
        in_context: whether templates are taken from captions, too.
        exact: whether all columns of every phrase will be redirected, so that there is no room for
            the lexicon's words beside those that captions and the user name.
        unnamed: prompts that name none of the concepts, whatever they read like.
        search: ``words`` asks lexicon and text encoder alone, ``network`` what the network draws.

    Raises:
        InputError: a name that is not what was meant (``names.as_meant``), a word that a text
            encoder does not know, a surrogate that is erased too, or none that can be proposed.
    """
    for concept in concepts:
        check_known(denoiser, concept)
    known = vocabulary(denoiser, captions)
    look = SEARCHES[search]
    if exact and search == "words":
        look = partial(search_words, with_kin=False)
    concepts = [as_meant(denoiser, concept, known) for concept in concepts]
    everything = (*concepts, *also_erased)
    captions = that_fit(denoiser, captions)
    contexts: dict[str, tuple[str, ...]] = {}
    if in_context:
        kinds = {concept.kind for concept in concepts}
        contexts = {kind: caption_templates(captions, kind) for kind in kinds}
    resolved, retain = [], []
    for concept in concepts:
        found = _candidates(denoiser, concept, concepts, everything, captions, look)
        one = _with_found_phrases(concept, found, everything, unnamed)
        if one.only_with is not None:
            one = _with_neighbours(one, found)
            retain += single_mention_prompts(one)
        one = _with_templates(denoiser, one, contexts.get(one.kind), everything)
        near = [*one.retain, *found.retain]
        retain += [fill_template(PROBE_TEMPLATES[one.kind], word) for word in near]
        resolved.append(one)
    _check_surrogates(resolved)
    # A neighbour of one concept may be a synonym that was found for another.
    everything = (*resolved, *also_erased)
    return ResolvedConcepts(
        tuple(resolved),
        without_mentions(that_fit(denoiser, dict.fromkeys(retain)), everything),
        without_mentions(captions, everything),
    )


def check_known(denoiser: Denoiser, concept: Concept) -> None:
    """Raises ``InputError`` for words that a text encoder reads as *unknown*.

    All unknown words have one embedding: with one of them all would be erased.
    """
    given = (*concept.phrases, concept.surrogate, concept.only_with, *concept.descriptions)
    for phrase in filter(None, given):
        for tokenizer, _ in denoiser.segments():
            if tokenizer is not None and (unknown := unknown_words(tokenizer, phrase)):
                raise InputError(
                    f"{phrase!r} has words that a text encoder of this model does not know: "
                    f"{', '.join(map(repr, unknown))}. Every unknown word would be erased with "
                    "it. Use words of the model's own language."
                )


def erased_phrases(concepts: Sequence[Concept]) -> set[str]:
    """Folded phrases of ``concepts``, without those that are erased in combination only."""
    return {fold(p) for c in concepts if c.only_with is None for p in c.phrases}


def without_mentions(texts: Iterable[str], concepts: Sequence[Concept]) -> tuple[str, ...]:
    """``texts`` that mention none of ``concepts``."""
    return tuple(text for text in texts if not any(c.is_mentioned_in(text) for c in concepts))


def prompt_pairs(
    concepts: Sequence[ResolvedConcept],
) -> tuple[list[str], list[str], list[int]]:
    """Concept prompts, the same with the surrogate, and the index of each prompt's concept.

    Phrases alternate, so that a few trajectories visit every one of them.
    """
    by_phrase = []
    for i, concept in enumerate(concepts):
        count = len(concept.sentences)
        wordings = (*concept.wordings(), *concept.wordings(phrases=concept.descriptions))
        both = [(fill_template(t, p), fill_template(t, concept.surrogate), i) for t, p in wordings]
        by_phrase += [both[i : i + count] for i in range(0, len(both), count)]
    found = [pair for turn in zip_longest(*by_phrase) for pair in turn if pair]
    return [one for one, _, _ in found], [one for _, one, _ in found], [i for _, _, i in found]


# Steps of resolve_concepts ----------------------------------------------------------------


def _candidates(
    denoiser: Denoiser,
    concept: Concept,
    concepts: Sequence[Concept],
    everything: Sequence[Concept],
    captions: Sequence[str],
    search: Search,
) -> Candidates:
    """Synonyms, a surrogate and neighbours of ``concept`` among the names in ``captions``."""
    erased = erased_phrases(everything)
    names = _names_without(candidates.caption_names(captions, concept.kind), erased)
    phrases = candidates.caption_phrases(captions, concept.kind)
    others = [c for c in concepts if c.kind == concept.kind and c is not concept]
    return search(denoiser, concept, names, phrases, others)


def _names_without(names: Mapping[str, int], erased: Iterable[str]) -> dict[str, int]:
    erased = list(erased)
    return {name: count for name, count in names.items() if not mentions(name, erased)}


def _with_found_phrases(
    concept: Concept, found: Candidates, everything: Sequence[Concept], unnamed: Sequence[str]
) -> ResolvedConcept:
    """``concept`` with its surrogate, and the synonyms and descriptions that were found.

    What implies a concept reads like it. Where the user says that "a picnic" names no apple, no
    phrase with *picnic* in it is one.
    """
    if concept.surrogate is None:
        log.info("surrogate for %r: %r (proposed)", concept.phrase, found.surrogate)
    taken = erased_phrases(everything) | {fold(c.surrogate) for c in everything if c.surrogate}
    new = [text for text in found.synonyms if fold(text) not in taken]
    # A surrogate that names a synonym would show the concept; the user's own surrogate decides.
    new = [text for text in new if not mentions(found.surrogate, [text])]
    told = [without_article(prompt) for prompt in unnamed]
    new = [
        text
        for text in new
        if not (mentions(text, told) or any(mentions(p, [text]) for p in unnamed))
    ]
    if new:
        log.info("means %r, and is erased too: %s", concept.phrase, ", ".join(new))
    words = len(concept.phrase.split())
    values = replace(
        concept,
        surrogate=found.surrogate,
        synonyms=(*concept.synonyms, *(text for text in new if len(text.split()) <= words)),
        descriptions=(*concept.descriptions, *(t for t in new if len(t.split()) > words)),
    )
    return ResolvedConcept.of(values)


def _with_neighbours(concept: ResolvedConcept, found: Candidates) -> ResolvedConcept:
    """A concept that is erased in combination only, with neighbours beside each of its halves."""
    other = fold(concept.only_with or "")
    near = [word for word in found.retain if fold(word) != other][:COMBINATION_NEIGHBOURS]
    return replace(concept, retain=(*concept.retain, *near))


def _with_templates(
    denoiser: Denoiser,
    concept: ResolvedConcept,
    contexts: Sequence[str] | None,
    everything: Sequence[Concept],
) -> ResolvedConcept:
    """``concept`` with ``contexts`` beside its default templates, without those too long."""
    if concept.templates:
        return concept
    usual = templates = concept.sentences
    if concept.only_with is None:
        templates = concept.fit(usual_templates(concept.kind, bool(denoiser.shipped)))
    if contexts is not None and concept.only_with is None:
        templates = tuple(dict.fromkeys((*templates, *without_mentions(contexts, everything))))
    phrases = (*concept.phrases, *concept.descriptions, concept.surrogate)

    def fits(template: str) -> bool:
        filled = fill_template(template, concept.only_with or "", "{y}")
        return all(denoiser.fits(fill_template(filled, phrase)) for phrase in phrases)

    fitting = tuple(template for template in templates if fits(template))
    if not fitting:
        raise InputError(
            f"no sentence with {concept.phrase!r} fits the positions of this model's text "
            "encoder. Use a shorter phrase."
        )
    return concept if fitting == usual else replace(concept, templates=fitting)


def _check_surrogates(concepts: Sequence[ResolvedConcept]) -> None:
    erased = erased_phrases(concepts)
    for concept in concepts:
        if mentions(concept.surrogate, erased):
            raise InputError(
                f"the surrogate of {concept.phrase!r} is {concept.surrogate!r}, which is erased "
                "too. Name another surrogate."
            )
