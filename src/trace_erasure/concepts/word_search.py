"""Finds candidates near a concept without asking the network: by lexicon and text encoder.

A phrase of the captions belongs to a concept where the text encoder reads both alike. Synonyms and
kinds that the lexicon knows belong to it where the encoder reads them nearer to it than to any
sister of it. See ``candidates`` for the search by what the network draws.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.concepts import candidates, relatives
from trace_erasure.concepts.candidates import (
    CATEGORY_WORDS,
    PROBE_TEMPLATES,
    RETAIN_COUNT,
    SYNONYM_BOUND,
    UNFIT_SURROGATES,
    Candidates,
)
from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.concepts.reading_similarity import prompt_embeddings
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.utils.words import fold, mentions

DESCRIPTION_BOUND = 0.5
"""The same for phrases of more words than the name, of which only the leading direction moves, and
that read nearer to this concept than to any other name."""
SURROGATE_BOUND = 0.55
"""A proposed surrogate reads at least this share of the mean away from all that is erased."""
KIN = 8
"""The most of the lexicon's words that go with a concept."""
NEARBY = 24
"""Names of a large vocabulary that are looked at: common ones, the lexicon's sisters first."""


@dataclass(frozen=True)
class Readings:
    """How far phrases read from each other.

    Attributes:
        place: folded phrase to its row.
        rows: (n, d) what the encoder says at the end of a prompt with each.
        scale: the mean distance from the concept.
    """

    place: dict[str, int]
    rows: Tensor
    scale: float

    @classmethod
    def of(cls, denoiser: Denoiser, concept: Concept, phrases: Sequence[str]) -> Readings:
        every = list({fold(p): p for p in (concept.phrase, *phrases)}.values())
        frame = PROBE_TEMPLATES[concept.kind]
        rows = prompt_embeddings(denoiser, [fill_template(frame, phrase) for phrase in every])
        mean = float((rows[1:] - rows[0]).norm(dim=1).mean()) if len(rows) > 1 else 1.0
        tiny = torch.finfo(rows.dtype).tiny
        return cls({fold(phrase): i for i, phrase in enumerate(every)}, rows, max(mean, tiny))

    def between(self, one: str, other: str) -> float:
        """1 is the concept's mean."""
        own, theirs = self.rows[self.place[fold(one)]], self.rows[self.place[fold(other)]]
        return float((own - theirs).norm()) / self.scale


def search_words(
    denoiser: Denoiser,
    concept: Concept,
    names: Mapping[str, int],
    phrases: Sequence[str],
    others: Sequence[Concept] = (),
    with_kin: bool = True,
) -> Candidates:
    """Synonyms, a surrogate and names to retain, as ``candidates.find_candidates`` finds them.

    Of the shipped models' vocabulary every name is looked at; of a larger one the ``NEARBY``
    commonest and those that the lexicon has beside the concept.

    ``with_kin=False`` leaves the lexicon's words out that captions do not name.

    Raises ``InputError`` where no surrogate is given and none can be proposed.
    """
    # "A chef with a knife" is no description of a knife: it names it, and the chef should stay.
    phrases = [text for text in phrases if not mentions(text, concept.phrases)]
    object_like = concept.kind in ("object", "explicit")
    kin = relatives.kin(concept.phrase) if object_like and with_kin else ()
    sisters = relatives.beside(concept.phrase) if object_like else {}
    if denoiser.shipped:
        known = {fold(name) for name in names}
        kin = tuple(word for word in kin if fold(word) in known)
        sisters = {word: count for word, count in sisters.items() if fold(word) in known}
        near = list(names)
    else:
        near = _nearby(sisters, names)
        phrases = [text for text in phrases if fold(text) in {fold(name) for name in near}]
    erased = [concept.phrase, *(other.phrase for other in others)]
    readings = Readings.of(denoiser, concept, [*erased, *near, *phrases, *kin])
    own = {fold(phrase) for phrase in concept.phrases}
    synonyms = _synonyms(concept, readings, near, phrases) if concept.kind != "identity" else ()
    synonyms += _kin(concept, readings, kin, [word for word in sisters if word in near])
    synonyms = tuple({fold(s): s for s in reversed(synonyms) if fold(s) not in own}.values())[::-1]
    own |= {fold(word) for word in synonyms} | {fold(concept.surrogate or concept.phrase)}
    left = [name for name in near if fold(name) not in own]
    if denoiser.shipped:
        around = candidates.rank_by_embedding(denoiser, concept.phrase, concept.kind, left)
        ranked = dict(zip(around.words, around.distances, strict=True)) if left else {}
    else:
        ranked = {name: readings.between(concept.phrase, name) for name in left}
    surrogate = concept.surrogate
    if surrogate is None:
        gone = [*erased, *synonyms]
        apart = {name: min(readings.between(one, name) for one in gone) for name in left}
        first = [word for word in sisters if word in apart] if not denoiser.shipped else []
        surrogate = _propose(concept, names, first, ranked, apart)
    retain = [name for name in sorted(ranked, key=ranked.__getitem__) if name != surrogate]
    return Candidates(synonyms, surrogate, tuple(retain[:RETAIN_COUNT]))


def _nearby(sisters: Mapping[str, int], names: Mapping[str, int]) -> list[str]:
    """The commonest sisters, then the commonest names of the captions."""
    # What captions speak of is what pictures show; WordNet's texts are no pictures.
    often = sorted(sisters, key=lambda word: (-names.get(word, 0), -sisters[word]))
    common = sorted(names, key=lambda name: -names[name])
    return list(dict.fromkeys((*often[:NEARBY], *common[:NEARBY])))


def _synonyms(
    concept: Concept, readings: Readings, names: Sequence[str], phrases: Sequence[str]
) -> tuple[str, ...]:
    """Phrases that read as the concept does, nearest first."""
    words = len(concept.phrase.split())
    distance = {text: readings.between(concept.phrase, text) for text in phrases}
    every = dict.fromkeys((*names, *phrases))
    rivals = [p for p in every if readings.between(concept.phrase, p) >= DESCRIPTION_BOUND]
    found = []
    for text in sorted(distance, key=distance.__getitem__):
        if fold(text) == fold(concept.phrase) or CATEGORY_WORDS.fullmatch(text):
            continue
        alike = distance[text] < SYNONYM_BOUND
        if not alike and len(text.split()) > words and distance[text] < DESCRIPTION_BOUND:
            others = (name for name in rivals if not mentions(text, [name]))
            alike = all(readings.between(name, text) >= distance[text] for name in others)
        if alike:
            found.append(text)
    return tuple(found)


def _kin(
    concept: Concept, readings: Readings, kin: Sequence[str], sisters: Sequence[str]
) -> tuple[str, ...]:
    """Those of ``kin`` that read nearer to the concept than to any of ``sisters``."""
    distance = {word: readings.between(concept.phrase, word) for word in kin}
    near = [
        word
        for word in sorted(distance, key=distance.__getitem__)
        if all(readings.between(sister, word) > distance[word] for sister in sisters)
    ]
    return tuple(near[:KIN])


def _propose(
    concept: Concept,
    names: Mapping[str, int],
    first: Sequence[str],
    ranked: Mapping[str, float],
    apart: Mapping[str, float],
) -> str:
    """The first of ``first`` that reads apart from all that goes; else a common name, as near as
    the bounds allow."""
    for word in first:
        if apart[word] >= SURROGATE_BOUND and not UNFIT_SURROGATES.fullmatch(word):
            return word
    pairs = sorted(ranked.items(), key=lambda pair: pair[1])
    return candidates.propose(concept, names, pairs, [apart], SURROGATE_BOUND)
