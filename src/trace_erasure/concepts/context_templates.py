"""Sentences for a concept, from what captions say of its likes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trace_erasure.concepts.candidates import caption_names
from trace_erasure.utils.words import mentions

TEMPLATE_COUNT = 32
"""Sentences that are taken, evenly over those that there are."""


def caption_templates(
    captions: Sequence[str], kind: str, count: int = TEMPLATE_COUNT
) -> tuple[str, ...]:
    """Templates with ``{x}`` where captions name something of ``kind``.

    A caption that names one such thing, once, says in what company a concept of that kind is
    asked for in the model's domain: beside what, in which styles, on which grounds. An encoder
    that reads both ways puts the concept into all of these words.
    """
    names, found = list(caption_names(captions, kind)), {}
    for caption in captions:
        named = [name for name in names if mentions(caption, [name])]
        if len(named) == 1:
            (name,) = named
            pattern = re.compile(rf"\b(an? )?{re.escape(name)}\b", re.IGNORECASE)
            template, times = pattern.subn(lambda m: "a {x}" if m[1] else "{x}", caption)
            if times == 1:
                found.setdefault(template)
    return tuple(list(found)[:: max(1, len(found) // max(1, count))][:count])
