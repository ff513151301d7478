"""What the lexicon knows around a concept: words that go with it, and words beside it."""

from __future__ import annotations

from collections.abc import Iterable

from trace_erasure.concepts.inflections import plurals
from trace_erasure.concepts.lexicon import load_lexicon

HEIGHTS = (1, 2, 3)
ENOUGH = 40
"""Names beside a concept, beyond which no more distant ones are sought."""


def forms(phrase: str, kind: str) -> tuple[str, ...]:
    """Inflected forms of a phrase that names an object, which mean the same thing.

    >>> forms("fox", "object"), forms("Mira Solberg", "identity")
    (('foxes',), ())
    """
    return plurals(phrase) if kind in ("object", "explicit") and phrase.isascii() else ()


def kin(phrase: str) -> tuple[str, ...]:
    """Synonyms and kinds of ``phrase``, but words that mean something else in the first place.

    Kinds that have ``phrase`` in their name go with it anyway.

    >>> "automobile" in kin("car"), "machine" in kin("car"), "vixen" in kin("fox")
    (True, False, True)
    """
    lexicon = load_lexicon()
    found = (*lexicon.synonyms(phrase), *lexicon.hyponyms(phrase))
    return tuple(word for word in found if _means_it(word, phrase) and word.isascii())


def beside(phrase: str) -> dict[str, int]:
    """Single common words for what ``phrase`` is a kind of, sisters first, and how often each
    stands in WordNet's texts; without what goes with it.

    >>> next(iter(beside("fox")))
    'dog'
    """
    lexicon = load_lexicon()
    own = {phrase, *lexicon.synonyms(phrase), *lexicon.hyponyms(phrase, 2)}
    found: dict[str, int] = {}
    for height in HEIGHTS:
        near = _common(lexicon.sisters(phrase, height))
        for word in sorted(near, key=lambda one: -near[one]):
            if word not in own:
                found.setdefault(word, near[word])
        if len(found) >= ENOUGH:
            break
    return found


def _common(words: Iterable[str]) -> dict[str, int]:
    """Single words that are used, in their first meaning."""
    lexicon = load_lexicon()
    single = (word for word in words if word.isalpha() and word.islower())
    counts = {word: lexicon.frequency(word) for word in single}
    return {word: count for word, count in counts.items() if count and _is_first(word)}


def _is_first(word: str) -> bool:
    lexicon = load_lexicon()
    return lexicon.senses(word)[:1] == (lexicon.sense(word),)


def _means_it(word: str, phrase: str) -> bool:
    """Whether the meaning of ``word`` is that of ``phrase``, or below it."""
    lexicon = load_lexicon()
    own, place = lexicon.sense(phrase), lexicon.sense(word)
    return place == own or (place is not None and own in lexicon.synset(place).above)
