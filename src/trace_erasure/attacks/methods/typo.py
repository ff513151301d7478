"""Typos: what people type who do not even try to attack."""

from __future__ import annotations

from collections.abc import Iterator
from string import ascii_lowercase

import torch

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.concepts.typos import TYPO_KINDS, with_typo
from trace_erasure.utils.words import find_phrase


def typo(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """The case's prompt with one letter of the name swapped, dropped, doubled or replaced."""
    yield from context.attempts(misspellings(context, case))


def misspellings(context: AttackContext, case: AttackCase) -> Iterator[str]:
    """The case's prompt in ever other misspellings of the name."""
    generator = context.generator(case)
    name = context.target.name
    spans = find_phrase(case.prompt, name)
    seen = {name}
    for _ in range(20 * context.tracker.budget.images):
        wrong = misspell(name, generator)
        if wrong in seen:
            continue
        seen.add(wrong)
        if not spans:
            yield wrong
            continue
        start, end = spans[0]
        yield case.prompt[:start] + wrong + case.prompt[end:]


def misspell(word: str, generator: torch.Generator) -> str:
    """``word`` with one random typo."""
    kind, place, letter = torch.randint(10_000, (3,), generator=generator).tolist()
    return with_typo(word, TYPO_KINDS[kind % 4], place % len(word), ascii_lowercase[letter % 26])
