"""Whole words in a text, and the article before one."""

from __future__ import annotations

import re
from collections.abc import Sequence

UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Scripts that write words without spaces: Thai, Lao, Japanese, Chinese."""


def whole_words(phrase: str) -> re.Pattern[str]:
    """A pattern that finds ``phrase`` where no letter or digit continues it.

    Signs and emoji, and scripts that are written without spaces, may stand next to anything.
    """
    spaced = rf"[^\W{UNSPACED}]"
    before = rf"(?<!{spaced})" if re.match(spaced, phrase) else ""
    after = rf"(?!{spaced})" if re.match(spaced, phrase[-1:]) else ""
    return re.compile(before + re.escape(phrase) + after, re.IGNORECASE)


def mentions(text: str, phrases: Sequence[str]) -> bool:
    """Whether ``text`` has one of ``phrases`` as whole words.

    >>> mentions("a cartoon", ["car"]), mentions("a car!", ["car"]), mentions("a 🦊 runs", ["🦊"])
    (False, True, True)
    """
    return any(whole_words(phrase).search(text) for phrase in phrases)


def indefinite_article(noun: str) -> str:
    """``an`` before a vowel letter, else ``a``.

    >>> indefinite_article("owl"), indefinite_article("fox")
    ('an', 'a')
    """
    return "an" if noun[:1].lower() in tuple("aeiou") else "a"
