"""Relearning: a LoRA on ten pictures of the concept teaches the erased model again."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.losses import denoising_loss, random_timestep, steps_per_attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline import adapters

PICTURES = 10
RANK = 4
BATCH = 2
LEARNING_RATE = 1e-3
ADAPTER = "relearned"


def relearn(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Trains on the denoising of ``PICTURES`` pictures with the case's prompt; a try after every
    equal share of the budget. The adapter is taken off at the end."""
    denoiser = context.denoiser
    generator = context.generator(case)
    clean = context.concept_states(case, PICTURES)
    conditioning = context.encode([case.prompt])
    factors = list(adapters.attach_untrained(denoiser, ADAPTER, RANK, generator).values())
    try:
        optimizer = torch.optim.AdamW(factors, lr=LEARNING_RATE, weight_decay=0.0)
        while True:
            for _ in range(steps_per_attempt(context, BATCH)):
                batch = clean[torch.randint(len(clean), (BATCH,), generator=generator)]
                timestep = random_timestep(context.schedule.timesteps, generator)
                loss = denoising_loss(context, conditioning, batch, timestep, generator)
                for factor, gradient in zip(
                    factors, torch.autograd.grad(loss, factors), strict=True
                ):
                    factor.grad = gradient
                optimizer.step()
            yield Attempt("after relearning", conditioning)
    finally:
        adapters.detach(denoiser, ADAPTER)
