"""Normalises phrases and finds them in texts as whole words, in every script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from itertools import chain
from typing import Any

from trace_erasure.errors import InputError, shown

LONGEST = 1000
"""Characters of a phrase; the longest text that any encoder reads has some 512 tokens."""
JOINER = "\u200d"
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
VARIATION = re.compile("[\ufe00-\ufe0f]")
# Scripts that put no space between words: nothing marks where a word ends.
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
KATAKANA = re.compile("[\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
# Korean writes these particles onto the noun.
PARTICLES = re.compile(
    "(?:은|는|이|가|을|를|의|에|와|과|도|만|로|으로|에서|에게|까지|부터|처럼|보다|하고|이랑|랑)"
    "(?![\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3])"
)


def normalise(text: str) -> str:
    """``text`` without invisible characters, stripped, with single spaces between words.

    >>> normalise(" red\u3000 car ")
    'red car'
    """
    return " ".join(text.translate(INVISIBLE).split())


def fold(text: str) -> str:
    """``text`` for comparison: equal for names that differ in case, spaces or encoding only.

    >>> fold(" Mira  SOLBERG") == fold("mira solberg")
    True
    """
    return "".join(map(_fold_character, normalise(text)))


def check_phrase(value: Any, name: str) -> str:
    """``value`` normalised. Raises ``InputError`` where it is no text or empty.

    ``name`` is what messages call it.
    """
    if not isinstance(value, str):
        raise InputError(f"{name} is {shown(value)}; allowed: text, such as 'fox'.")
    if not (phrase := normalise(value)):
        raise InputError(f"{name} is empty ({value!r}). Give at least one word, or leave it out.")
    if len(phrase) > LONGEST:
        raise InputError(
            f"{name} has {len(phrase)} characters ({shown(phrase)}); allowed: {LONGEST}. "
            "Shorten it."
        )
    check_characters(phrase, name)
    return phrase


def check_characters(text: str, name: str) -> None:
    """Raises ``InputError`` for characters that are no part of any language.

    These are control characters other than white space, and halves of characters.
    """
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and not character.isspace():
            raise InputError(
                f"{name} has the character {character!a} ({shown(text)}). Leave it out."
            )


def check_phrases(values: Any, name: str) -> tuple[str, ...]:
    """``values`` normalised, each once. Raises ``InputError`` for anything but a list of phrases.

    A text by itself is refused: as a list it would be one of letters.
    """
    # A set has another order in every run, and with it other bytes.
    loose = isinstance(values, str | bytes | Mapping | Set)
    if loose or not isinstance(values, Iterable):
        raise InputError(f"{name} is {shown(values)}; allowed: a list of phrases, such as ['fox'].")
    phrases = [check_phrase(value, f"{name}[{i}]") for i, value in enumerate(values)]
    return tuple({fold(phrase): phrase for phrase in reversed(phrases)}.values())[::-1]


def words_in(text: str) -> list[str]:
    """Runs of letters and digits in ``text``, folded.

    >>> words_in("A fox's den, C++")
    ['a', 'fox', 's', 'den', 'c']
    """
    return re.findall(r"\w+", fold(text))


def find_phrase(text: str, phrase: str) -> list[tuple[int, int]]:
    """(start, end) of every occurrence of ``phrase`` in ``text`` as whole words.

    Case, kinds of spaces and the encoding of accents make no difference. A phrase that begins or
    ends with anything but a letter or a digit needs no border there, and neither do scripts that
    are written without spaces.

    >>> find_phrase("a car, cartoon style", "car")
    [(2, 5)]
    >>> find_phrase("一只狐狸在森林里", "狐狸")
    [(2, 4)]
    >>> find_phrase("C++ and a fox!", "c++")
    [(0, 3)]
    """
    pattern = _pattern(phrase)
    if pattern is None:
        return []
    folded, origin = _folded(text)
    found: list[tuple[int, int]] = []
    match = pattern.search(folded)
    while match is not None:
        start, end = match.span()
        if origin is not None:
            whole = (start == 0 or origin[start - 1] < origin[start]) and (
                end == len(folded) or origin[end - 1] < origin[end]
            )
            start, end = origin[start], origin[end - 1] + 1
        else:
            whole = True
        if whole and _borders(text, start, end):
            found.append((start, end))
            match = pattern.search(folded, match.end())
        else:
            match = pattern.search(folded, match.start() + 1)
    return found


def mentions(text: str, phrases: Iterable[str]) -> bool:
    """Whether ``text`` has one of ``phrases`` as whole words.

    >>> mentions("a cartoon", ["car"]), mentions("a picture of 🦊 on blue", ["🦊"])
    (False, True)
    """
    return any(find_phrase(text, phrase) for phrase in phrases)


def replace_phrase(text: str, phrase: str, other: str) -> str:
    """``text`` with ``other`` wherever ``phrase`` stands as whole words.

    An article before it follows ``other``.

    >>> replace_phrase("an owl and a fox", "owl", "cat")
    'a cat and a fox'
    """
    for start, end in reversed(find_phrase(text, phrase)):
        before = re.sub(
            r"\b([Aa])n?( +)$", lambda m: with_article_letter(m[1], other) + m[2], text[:start]
        )
        text = before + other + text[end:]
    return text


def indefinite_article(noun: str) -> str:
    """``an`` before a vowel letter, else ``a``."""
    return with_article_letter("a", noun)


def with_article_letter(letter: str, noun: str) -> str:
    """``letter``, with an n where ``noun`` begins with a vowel letter."""
    return letter + ("n" if noun[:1].lower() in tuple("aeiou") else "")


# Internals --------------------------------------------------------------------------------


@lru_cache(4096)
def _fold_character(character: str) -> str:
    plain = unicodedata.normalize("NFD", character).casefold()
    return VARIATION.sub("", unicodedata.normalize("NFD", plain).translate(INVISIBLE))


@lru_cache(8192)
def _folded(text: str) -> tuple[str, Sequence[int] | None]:
    """The text folded, and for each of its characters the place it comes from; None: its own."""
    if text.isascii():
        return text.lower(), None
    parts = [_fold_character(character) for character in text]
    return "".join(parts), tuple(chain.from_iterable([i] * len(p) for i, p in enumerate(parts)))


@lru_cache(8192)
def _pattern(phrase: str) -> re.Pattern[str] | None:
    words = fold(phrase).split()
    return re.compile(r"\s+".join(map(re.escape, words))) if words else None


def _group(character: str) -> str | None:
    """Letters of one group that stand side by side belong to one word; None: no such group."""
    if KATAKANA.match(character):
        return "katakana"
    if HANGUL.match(character):
        return "hangul"
    if UNSPACED.match(character):
        return None
    return "letters" if character.isalnum() or character == "_" else None


def _borders(text: str, start: int, end: int) -> bool:
    """Whether ``text[start:end]`` is bordered by something other than the rest of its words."""
    before, after = text[:start][-1:], text[end : end + 1]
    if JOINER in (before, after):  # inside a sequence that is drawn as one emoji
        return False
    if after and unicodedata.category(after)[0] == "M" and not VARIATION.match(after):
        return False
    first, last = _group(text[start]), _group(text[end - 1])
    if before and first and _group(before) == first:
        return False
    if last == "hangul" and PARTICLES.match(text, end):
        return True
    return not (after and last and _group(after) == last)
