"""Diffusion completion (Lu et al. 2025): the original model begins, the erased one finishes."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.methods.through_pictures import schedule_tails
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.sampler import Schedule, sample


def completion(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Handed over at ever lower noise levels, over the whole range. A method that acts late is
    weak at high levels, any method at the lowest."""
    conditioning = context.encode([case.prompt])
    plan = context.schedule
    for level, rest in schedule_tails(context):
        first = len(plan) - len(rest)
        begun = Schedule(plan.timesteps[:first], plan.noise_levels[:first], plan.steps[:first])
        context.tracker.spend("gradients", first)
        with torch.no_grad(), context.original_model():
            states = sample(
                context.denoiser,
                conditioning,
                context.empty,
                context.noise(case),
                begun,
                context.guidance,
            )
        yield Attempt(f"handed over at noise level {level:.2f}", conditioning, states, rest)
