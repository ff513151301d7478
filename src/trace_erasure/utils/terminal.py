"""Text from files as it may be printed: control characters are shown, not sent."""

from __future__ import annotations

import unicodedata

JOINER = "\u200d"
"""Holds the parts of one emoji together; the only invisible character that stays."""


def printable(text: str) -> str:
    """``text`` with every control and formatting character but line breaks as an escape.

    Example:
        >>> printable("fox\\x1b[2J")
        'fox\\\\x1b[2J'
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii")
        if c not in ("\n", JOINER) and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else c
        for c in text
    )
