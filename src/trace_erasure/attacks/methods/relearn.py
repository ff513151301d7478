"""Relearning: a LoRA on ten pictures of the concept teaches the erased model again."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import Arena, Try
from trace_erasure.attacks.losses import denoising, pick, rounds
from trace_erasure.attacks.target import Case
from trace_erasure.pipeline import adapters

PICTURES = 10
RANK = 4
BATCH = 2
LEARNING_RATE = 1e-3
ADAPTER = "relearned"


def relearn(arena: Arena, case: Case) -> Iterator[Try]:
    """Trains on the denoising of ``PICTURES`` pictures with the case's prompt; a try after every
    equal share of the budget. The adapter is taken off at the end."""
    denoiser = arena.denoiser
    generator = arena.generator(case)
    clean = arena.concept_states(case, PICTURES)
    conditioning = arena.encode([case.prompt])
    factors = list(adapters.attach_untrained(denoiser, ADAPTER, RANK, generator).values())
    try:
        optimizer = torch.optim.AdamW(factors, lr=LEARNING_RATE, weight_decay=0.0)
        while True:
            for _ in range(rounds(arena, BATCH)):
                batch = clean[torch.randint(len(clean), (BATCH,), generator=generator)]
                timestep = pick(arena.plan.timesteps, generator)
                loss = denoising(arena, conditioning, batch, timestep, generator)
                for factor, gradient in zip(
                    factors, torch.autograd.grad(loss, factors), strict=True
                ):
                    factor.grad = gradient
                optimizer.step()
            yield Try("after relearning", conditioning)
    finally:
        adapters.detach(denoiser, ADAPTER)
