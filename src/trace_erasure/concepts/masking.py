"""Keeps the words of sensitive concepts out of logs and messages."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trace_erasure.errors import InputError
from trace_erasure.utils.words import fold

if TYPE_CHECKING:
    from trace_erasure.concepts.concept import Concept

LOGGER = "trace_erasure"


def digest(phrase: str) -> str:
    """Stands for ``phrase`` where it must not be read.

    >>> digest("fox")
    '#776cb326'
    """
    return "#" + hashlib.sha256(fold(phrase).encode()).hexdigest()[:8]


def masked(text: str, concepts: Sequence[Concept]) -> str:
    """``text`` with a digest for every phrase of the concepts that are sensitive."""
    words = {
        phrase
        for concept in concepts
        if concept.sensitive
        for phrase in (*concept.phrases, *concept.descriptions)
    }
    if not words:
        return text
    longest = sorted(words, key=len, reverse=True)
    pattern = "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in longest)
    return re.sub(pattern, lambda match: digest(match[0]), text, flags=re.IGNORECASE)


@contextmanager
def words_hidden(concepts: Sequence[Concept]) -> Iterator[None]:
    """Within it the package logs, and refuses input, without the words of sensitive concepts."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = masked(record.getMessage(), concepts), ()
        return True

    log = logging.getLogger(LOGGER)
    hides = any(concept.sensitive for concept in concepts)
    if hides:
        log.addFilter(hide)
    try:
        yield
    except InputError as error:
        if not hides:
            raise
        raise InputError(masked(str(error), concepts)) from None
    finally:
        log.removeFilter(hide)
