"""Finds whole words in a text."""

from __future__ import annotations

import re
from collections.abc import Sequence


def mentions(text: str, phrases: Sequence[str]) -> bool:
    """Whether ``text`` has one of ``phrases`` as whole words: ``car`` is not in ``cartoon``."""
    return any(re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE) for phrase in phrases)
