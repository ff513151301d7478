"""Diffusion completion (Lu et al. 2025): the original model begins, the erased one finishes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import Arena, Try
from trace_erasure.attacks.methods.through_pictures import handovers
from trace_erasure.attacks.target import Case
from trace_erasure.pipeline.sampler import Schedule, sample


def completion(arena: Arena, case: Case) -> Iterator[Try]:
    """Handed over at ever lower noise levels, over the whole range. A method that acts late is
    weak at high levels, any method at the lowest."""
    conditioning = arena.encode([case.prompt])
    plan = arena.plan
    for level, rest in handovers(arena):
        first = len(plan) - len(rest)
        begun = Schedule(plan.timesteps[:first], plan.noise_levels[:first], plan.steps[:first])
        arena.ledger.spend("gradients", first)
        with torch.no_grad(), arena.undo():
            states = sample(
                arena.denoiser, conditioning, arena.empty, arena.noise(case), begun, arena.guidance
            )
        yield Try(f"handed over at noise level {level:.2f}", conditioning, states, rest)
