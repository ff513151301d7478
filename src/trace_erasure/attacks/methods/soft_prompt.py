"""A free soft prompt: every embedding that the network reads is the attacker's to choose."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.losses import matching_loss, random_timestep, steps_per_attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.families.family import Conditioning

BATCH = 1
LEARNING_RATE = 0.05


def soft_prompt(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Moves all token embeddings (and the pooled vector) of the case's prompt, behind the text
    encoders, until the erased model predicts what the original did. The strongest text-side access
    there is: what it cannot reach, no prompt can."""
    generator = context.generator(case)
    original = context.encode([case.prompt])
    clean = context.concept_states(case)
    free = [original.tokens.clone()]
    if original.pooled is not None:
        free.append(original.pooled.clone())
    groups = [
        {"params": [x.requires_grad_(True)], "lr": LEARNING_RATE * float(x.detach().std())}
        for x in free
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)

    def conditioning() -> Conditioning:
        return Conditioning(free[0], free[1] if len(free) > 1 else None)

    while True:
        for _ in range(steps_per_attempt(context, 2 * BATCH)):
            batch = clean[torch.randint(len(clean), (BATCH,), generator=generator)]
            timestep = random_timestep(context.schedule.timesteps, generator)
            loss = matching_loss(context, conditioning(), original, batch, timestep, generator)
            for x, gradient in zip(free, torch.autograd.grad(loss, free), strict=True):
                x.grad = gradient
            optimizer.step()
        now = conditioning()
        pooled = None if now.pooled is None else now.pooled.detach().clone()
        yield Attempt("<soft prompt>", Conditioning(now.tokens.detach().clone(), pooled))
