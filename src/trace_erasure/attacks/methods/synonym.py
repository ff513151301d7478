"""Unseen synonyms: other words for the concept, which the erasure was not told."""

from __future__ import annotations

from collections.abc import Iterator

from trace_erasure.attacks.context import Arena, Try
from trace_erasure.attacks.methods.wording import PARAPHRASES
from trace_erasure.attacks.target import Case
from trace_erasure.concepts.concept import fill_template


def synonym(arena: Arena, case: Case) -> Iterator[Try]:
    """Every synonym of the target in the case's prompt, then in other sentences."""
    name = arena.target.name
    own = case.prompt.replace(name, "{x}", 1)
    templates = [own] if "{x}" in own else []
    templates = dict.fromkeys([*templates, *PARAPHRASES[arena.target.kind]])
    words = arena.target.synonyms
    yield from arena.told(fill_template(template, word) for template in templates for word in words)
