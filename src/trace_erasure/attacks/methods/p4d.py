"""Prompting4Debugging (Chin et al. 2024): real tokens whose prediction is the original model's."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.losses import matching_loss, random_timestep, steps_per_attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.text_encoders import encode_soft, encoders

LENGTH = 8
LEARNING_RATE = 0.1
DECAY = 0.1


def p4d(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """P4D-N: ``LENGTH`` free tokens, projected to the nearest words before every forward pass, the
    gradient applied to the unprojected ones (PEZ, Wen et al. 2023)."""
    generator = context.generator(case)
    known = context.vocabulary
    tables = known.tables(encoders(context.denoiser))
    clean = context.concept_states(case, 1)
    original = context.encode([case.prompt])
    start = torch.randint(len(known), (LENGTH,), generator=generator)
    free = [table[start].clone() for table in tables]
    optimizer = torch.optim.AdamW(free, lr=LEARNING_RATE, weight_decay=DECAY)
    timesteps = context.schedule.timesteps
    while True:
        for _ in range(steps_per_attempt(context, 2)):
            index = nearest(free, tables)
            soft = [table[index].requires_grad_(True) for table in tables]
            context.tracker.spend("encodings")
            conditioning = encode_soft(context.denoiser, soft)
            timestep = random_timestep(timesteps, generator)
            loss = matching_loss(context, conditioning, original, clean, timestep, generator)
            for variable, gradient in zip(free, torch.autograd.grad(loss, soft), strict=True):
                variable.grad = gradient
            optimizer.step()
        text = known.text(nearest(free, tables))
        yield Attempt(text, context.encode([text]))


def nearest(free: list[Tensor], tables: list[Tensor]) -> Tensor:
    """For each free token the word of greatest cosine, over all encoders together, (k,)."""
    cosines = [
        F.normalize(rows, dim=1) @ F.normalize(table, dim=1).mT
        for rows, table in zip(free, tables, strict=True)
    ]
    return torch.stack(cosines).sum(0).argmax(1)
