"""One and many: English plurals and singulars of nouns."""

from __future__ import annotations

import re
from functools import cache

from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.utils.words import fold

ENDINGS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
RARER = 20
"""A plural that is a noun by itself is read as a plural where its singular is so much commoner."""
POSSESSIVE = re.compile(r"(?:['’]s|(?<=s)['’])$")


def plurals(phrase: str) -> tuple[str, ...]:
    """More than one ``phrase``, its last word inflected; several forms where several are used.

    >>> plurals("fox"), plurals("mouse"), plurals("red pony"), plurals("bus")
    (('foxes',), ('mice',), ('red ponies',), ('buses', 'busses'))
    """
    *before, word = phrase.split(" ")
    return tuple(" ".join([*before, form]) for form in _plurals(word))


def singular(phrase: str) -> str | None:
    """One of what ``phrase`` names several of; None where it is no plural that the lexicon knows.

    Plurals with a meaning of their own are none: *glasses*, *scissors*.

    >>> singular("foxes"), singular("red cars"), singular("scissors"), singular("bus")
    ('fox', 'red car', None, None)
    """
    lexicon, (*before, word) = load_lexicon(), phrase.split(" ")
    lower = fold(word)
    if not word.isascii():
        return None
    found = [lexicon.plurals[lower]] if lower in lexicon.plurals else []
    found += [lower.removesuffix(end) + new for end, new in ENDINGS if lower.endswith(end)]
    one = next((one for one in found if lexicon.is_noun(one) and lower in _plurals(one)), None)
    if one is None:
        return None
    # "men" is a noun by itself, too, but hardly ever meant.
    own = lexicon.is_noun(phrase) or lexicon.is_noun(word)
    if own and lexicon.frequency(one) <= RARER * max(1, lexicon.frequency(word)):
        return None
    return " ".join([*before, one])


def without_possessive(phrase: str) -> str:
    """``phrase`` without an 's at its end, where a noun in lower case is left.

    >>> without_possessive("fox's"), without_possessive("foxes'"), without_possessive("Levi's")
    ('fox', 'foxes', "Levi's")
    """
    bare = POSSESSIVE.sub("", phrase)
    if bare == phrase or not bare.islower():
        return phrase
    return bare if load_lexicon().is_noun(bare) or singular(bare) else phrase


def _plurals(word: str) -> tuple[str, ...]:
    lower = fold(word)
    irregular = [form for form in _irregular().get(lower, ()) if " " not in form]
    if re.search(r"(?:[sxz]|[cs]h)$", lower):
        regular = word + "es"
    elif re.search(r"[^aeiou]y$", lower):
        regular = word[:-1] + "ies"
    else:
        regular = word + "s"
    # Beside "mice" there is no "mouses"; beside "busses" there is "buses".
    replaced = any(not form.endswith(("s", "i")) or form.endswith("ves") for form in irregular)
    return tuple(dict.fromkeys((*([] if replaced else [regular]), *irregular)))


@cache
def _irregular() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for many, one in load_lexicon().plurals.items():
        found.setdefault(one, []).append(many)
    return found
