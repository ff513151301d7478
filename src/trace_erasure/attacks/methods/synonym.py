"""Unseen synonyms: other words for the concept, which the erasure does not list."""

from __future__ import annotations

from collections.abc import Iterator

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.methods.paraphrase import PARAPHRASES
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.concepts.concept import fill_template


def synonym(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Every synonym of the target in the case's prompt, then in other sentences."""
    name = context.target.name
    own = case.prompt.replace(name, "{x}", 1)
    templates = [own] if "{x}" in own else []
    templates = dict.fromkeys([*templates, *PARAPHRASES[context.target.kind]])
    words = context.target.synonyms
    yield from context.attempts(
        fill_template(template, word) for template in templates for word in words
    )
