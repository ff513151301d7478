"""What a phrase may have been meant to say: another kind, a plural, two things, a slip.

Whoever types *foxx* means *fox*; an erasure of the one leaves the other as it is. Readings are
looked for among the names of the captions and the lexicon's nouns, and only where the captions do
not know the phrase itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from trace_erasure.concepts.concept import KINDS, Concept
from trace_erasure.concepts.inflections import singular
from trace_erasure.concepts.kinds import listed_as
from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.concepts.spelling import suggestions
from trace_erasure.utils.words import fold

ARTICLE = re.compile(r"\A(?:an?|the|some|any|my|one) (?=\S)", re.IGNORECASE)
BETWEEN = re.compile(r"\s*[,&+/;]\s*|\s+(?:and|or|plus)\s+", re.IGNORECASE)
ADVICE = {
    "kind": "{phrase!r} is known as kind {kind!r} here: --kind {kind}.",
    "plural": "Name the singular: {phrase!r}.",
    "spelling": "Did you mean {phrase!r}?",
}
SPELLINGS = 2
"""Words that are looked at of those that one slip turns into the phrase."""


@dataclass(frozen=True)
class Reading:
    """One of the things that a phrase may mean.

    Attributes:
        phrase: a name that the captions know, or a noun.
        kind: of that name.
        way: how it was found: ``kind``, ``parts``, ``plural`` or ``spelling``.
    """

    phrase: str
    kind: str
    way: str


def parts_of(phrase: str) -> list[str]:
    """What stands between the conjunctions of a phrase, without articles.

    >>> parts_of("a fox and the cat")
    ['fox', 'cat']
    """
    return [ARTICLE.sub("", part, count=1) for part in BETWEEN.split(phrase) if part]


def readings(concept: Concept, names: Mapping[str, Collection[str]]) -> tuple[Reading, ...]:
    """Other readings of ``concept``; none where ``names`` have its phrase under its kind.

    Args:
        names: kind to the names that captions have of it.

    >>> names = {"object": ["fox", "cat"], "style": ["pixel art"]}
    >>> [r.phrase for r in readings(Concept("foxx"), names)]
    ['fox']
    >>> readings(Concept("pixel art", kind="object"), names)
    (Reading(phrase='pixel art', kind='style', way='kind'),)
    """
    known = _by_folded_name(names)
    phrase = fold(concept.phrase)
    kinds = known.get(phrase, {})
    if listed_as(concept.kind) in kinds:
        return ()
    if kinds:
        return tuple(Reading(name, kind, "kind") for kind, name in kinds.items())
    parts = parts_of(phrase)
    one = singular(phrase)
    for way, texts in (("parts", parts), ("plural", [one] if one else [])):
        changed = [text for text in texts if text != phrase]
        if changed and all(_is_name(text, known) for text in texts):
            return tuple(_reading(text, known, way) for text in texts)
    if phrase in load_lexicon():
        return ()
    near = suggestions(phrase, known)[:SPELLINGS]
    return tuple(_reading(name, known, "spelling") for name in near)


def advice(concept: Concept, surrogate: str, names: Mapping[str, Collection[str]]) -> list[str]:
    """What whoever asked for ``concept`` may do next, in sentences.

    >>> advice(Concept("foxx"), "cat", {"object": ["fox", "cat"]})
    ["Did you mean 'fox'?"]
    """
    own = [fold(name) for name in names.get(listed_as(concept.kind), ())]
    found = readings(concept, names)
    parts = [f"--concept {reading.phrase!r}" for reading in found if reading.way == "parts"]
    said = [f"Several concepts? Name each by itself: {' '.join(parts)}."] if parts else []
    said += [
        ADVICE[reading.way].format(phrase=reading.phrase, kind=reading.kind)
        for reading in found
        if reading.way != "parts"
    ]
    if not found and fold(concept.phrase) not in own:
        said.append(
            f"The captions never name {concept.phrase!r}: look whether the model draws it at all."
        )
    if fold(surrogate) not in own:
        said.append(
            f"The captions never name the surrogate {surrogate!r}: leave it out, and one is "
            "proposed."
        )
    return said


_Known = Mapping[str, Mapping[str, str]]
"""Folded name to its kinds, ``explicit`` ones among the objects, each with the name as it is."""


def _by_folded_name(names: Mapping[str, Collection[str]]) -> _Known:
    found: dict[str, dict[str, str]] = {}
    for kind in (kind for kind in KINDS if kind == listed_as(kind)):
        for name in names.get(kind, ()):
            found.setdefault(fold(name), {}).setdefault(kind, name)
    return found


def _is_name(folded: str, known: _Known) -> bool:
    return folded in known or load_lexicon().is_noun(folded)


def _reading(folded: str, known: _Known, way: str) -> Reading:
    kind, name = next(iter(known.get(folded, {"object": folded}).items()))
    return Reading(name, kind, way)
