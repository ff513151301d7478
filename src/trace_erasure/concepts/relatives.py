"""What the lexicon knows around a concept: words that go with it, and words beside it."""

from __future__ import annotations

from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.utils.words import mentions

HEIGHTS = (1, 2, 3)
ENOUGH = 40
"""Names beside a concept, beyond which no more distant ones are sought."""


def kin(phrase: str) -> tuple[str, ...]:
    """Synonyms and kinds of ``phrase``, but words that mean something else in the first place.

    Kinds that have ``phrase`` in their name go with it anyway.

    >>> "automobile" in kin("car"), "machine" in kin("car"), "vixen" in kin("fox")
    (True, False, True)
    """
    lexicon = load_lexicon()
    found = (*lexicon.synonyms(phrase), *lexicon.hyponyms(phrase))
    others = (word for word in found if word.isascii() and not mentions(word, [phrase]))
    return tuple(word for word in others if _means_it(word, phrase))


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
        near = _common(phrase, height)
        for word in sorted(near, key=lambda one: -near[one]):
            if word not in own:
                found.setdefault(word, near[word])
        if len(found) >= ENOUGH:
            break
    return found


def around(phrase: str) -> tuple[str, ...]:
    """Synonyms of ``phrase``, words for what it is a kind of, and for kinds of it."""
    lexicon = load_lexicon()
    return (*lexicon.synonyms(phrase), *lexicon.hypernyms(phrase), *lexicon.hyponyms(phrase))


def _common(phrase: str, height: int) -> dict[str, int]:
    """Single words that are used, ``height`` steps away, whose own meaning that is."""
    lexicon = load_lexicon()
    above, found = _above(phrase, height), {}
    for word in lexicon.sisters(phrase, height):
        count = lexicon.frequency(word) if word.isalpha() and word.islower() else 0
        own = count and lexicon.senses(word)[:1] == (lexicon.sense(word),)
        if own and above & _above(word, height):
            found[word] = count
    return found


def _above(phrase: str, height: int) -> set[int]:
    lexicon, place = load_lexicon(), load_lexicon().sense(phrase)
    level = set() if place is None else {place}
    for _ in range(height):
        level = {parent for one in level for parent in lexicon.synset(one).above}
    return level


def _means_it(word: str, phrase: str) -> bool:
    """Whether the meaning of ``word`` is that of ``phrase``, or below it."""
    lexicon = load_lexicon()
    own, place = lexicon.sense(phrase), lexicon.sense(word)
    return place == own or (place is not None and own in lexicon.synset(place).above)
