"""The control of luck: random words, as many as an attack has, in as many tries."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import Attack, AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase


def random_tokens(length: int, keep_prompt: bool) -> Attack:
    """An attack that draws ``length`` random words, before the case's prompt or alone."""

    def attack(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
        generator = context.generator(case)
        known = context.vocabulary
        while True:
            chosen = known.text(torch.randint(len(known), (length,), generator=generator))
            text = f"{chosen} {case.prompt}" if keep_prompt else chosen
            yield Attempt(text, context.encode([text]))

    return attack
