"""Textual inversion through the erased model, as in Circumventing Concept Erasure (CCE, Pham et
al. 2024): a new token learns the concept from its pictures."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.losses import denoising_loss, random_timestep, steps_per_attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.text_encoders import encode_soft, encoders

BATCH = 2
LEARNING_RATE = 0.02
BEFORE = "a picture of"


def textual_inversion(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """One soft token for every text encoder, started at a random word; a try after every equal
    share of the budget."""
    denoiser = context.denoiser
    generator = context.generator(case)
    known = context.vocabulary
    start = torch.randint(len(known), (1,), generator=generator)
    soft = [table[start].clone() for table in known.tables(encoders(denoiser))]
    # Token tables are of very different sizes from encoder to encoder: steps relative to theirs.
    groups = [
        {"params": [rows.requires_grad_(True)], "lr": LEARNING_RATE * float(rows.detach().std())}
        for rows in soft
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    clean = context.concept_states(case)
    while True:
        for _ in range(steps_per_attempt(context, BATCH)):
            context.tracker.spend("encodings")
            conditioning = encode_soft(denoiser, soft, before=BEFORE)
            batch = clean[torch.randint(len(clean), (BATCH,), generator=generator)]
            timestep = random_timestep(context.schedule.timesteps, generator)
            loss = denoising_loss(context, conditioning, batch, timestep, generator)
            for rows, gradient in zip(soft, torch.autograd.grad(loss, soft), strict=True):
                rows.grad = gradient
            optimizer.step()
        context.tracker.spend("encodings")
        with torch.no_grad():
            learned = encode_soft(denoiser, [rows.detach() for rows in soft], before=BEFORE)
        yield Attempt(f"{BEFORE} <learned>", learned[[0]])
