"""The control of luck: random words, as many as an attack has, in as many tries."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import Arena, Attack, Try
from trace_erasure.attacks.target import Case


def random_tokens(length: int, keep_prompt: bool) -> Attack:
    """An attack that draws ``length`` random words, before the case's prompt or alone."""

    def attack(arena: Arena, case: Case) -> Iterator[Try]:
        generator = arena.generator(case)
        known = arena.words
        while True:
            chosen = known.text(torch.randint(len(known), (length,), generator=generator))
            text = f"{chosen} {case.prompt}" if keep_prompt else chosen
            yield Try(text, arena.encode([text]))

    return attack
