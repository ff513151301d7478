"""Which word was meant: words that are one slip of the finger away."""

from __future__ import annotations

from collections.abc import Iterable
from string import ascii_lowercase

from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.utils.words import fold


def suggestions(word: str, known: Iterable[str] = ()) -> tuple[str, ...]:
    """Words that differ from ``word`` by one letter: ``known`` ones first, then common nouns.

    >>> suggestions("foxx")
    ('fox',)
    """
    lexicon, lower = load_lexicon(), fold(word)
    near = _one_slip_from(lower)
    own = sorted(near & {fold(one) for one in known})
    common = [one for one in near if lexicon.is_noun(one) and lexicon.frequency(one)]
    common.sort(key=lambda one: (-lexicon.frequency(one), one))
    return tuple(dict.fromkeys((*own, *common)))


def _one_slip_from(word: str) -> set[str]:
    """All texts from which ``word`` comes by one letter added, left out, changed or swapped."""
    parts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    found = {a + b[1:] for a, b in parts if b}
    found |= {a + b[1] + b[0] + b[2:] for a, b in parts if len(b) > 1}
    found |= {a + letter + b[1:] for a, b in parts if b for letter in ascii_lowercase}
    found |= {a + letter + b for a, b in parts for letter in ascii_lowercase}
    return found - {word}
