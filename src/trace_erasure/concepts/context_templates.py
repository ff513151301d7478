"""Makes templates for a concept from captions that name something of its kind."""

from __future__ import annotations

from collections.abc import Sequence

from trace_erasure.concepts.candidates import caption_names
from trace_erasure.utils.words import find_phrase, fold, mentions, replace_phrase

TEMPLATE_COUNT = 32
"""Sentences that are taken, evenly over those that there are."""


def caption_templates(
    captions: Sequence[str], kind: str, count: int = TEMPLATE_COUNT
) -> tuple[str, ...]:
    """Templates with ``{x}`` where captions name something of ``kind``.

    A caption that names one such thing once shows the words that stand beside it in the model's
    domain: other objects, styles, backgrounds. In an encoder that reads both ways the embeddings
    of all of them depend on the concept.

    >>> caption_templates(["a cat, neon style", "a cat and an owl"], "object")
    ('a {x}, neon style',)
    """
    names, found = {name: fold(name).split()[0] for name in caption_names(captions, kind)}, {}
    for caption in captions:
        text = fold(caption)
        near = [name for name, word in names.items() if word in text]  # a quick look comes first
        named = [name for name in near if mentions(caption, [name])]
        if len(named) == 1:
            (name,) = named
            if len(find_phrase(caption, name)) == 1:
                found.setdefault(replace_phrase(caption, name, "{x}"))
    return tuple(list(found)[:: max(1, len(found) // max(1, count))][:count])
