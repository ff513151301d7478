"""UnlearnDiffAtk (Zhang et al. 2024): prefix tokens found by the erased model's own denoising."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.losses import denoising_loss, steps_per_attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.text_encoders import encode_soft, encoders

LENGTH = 3
LEARNING_RATE = 0.01
DECAY = 0.1


def unlearn_diff(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """Each of ``LENGTH`` prefix tokens is a point of the simplex over the words, sampled to one
    word forwards, with hardtanh of the gradient backwards. Timesteps one after the other, clean to
    noisy, an equal share of the budget each; after each the likeliest words are a try."""
    generator = context.generator(case)
    known = context.vocabulary
    tables = known.tables(encoders(context.denoiser))
    clean = context.concept_states(case, 1)
    weights = torch.full((LENGTH, len(known)), 1 / len(known), requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=LEARNING_RATE, weight_decay=DECAY)
    tries = context.tracker.budget.images
    timesteps = context.denoiser.timesteps(tries).cpu().flip(0)
    for timestep in timesteps:
        for _ in range(steps_per_attempt(context, 1)):
            drawn = torch.multinomial(weights.detach().clamp(min=1e-12), 1, generator=generator)
            one_hot = StraightThrough.apply(weights, drawn[:, 0])
            context.tracker.spend("encodings")
            soft = [one_hot.to(table) @ table for table in tables]
            conditioning = encode_soft(context.denoiser, soft, after=case.prompt)
            loss = denoising_loss(context, conditioning, clean, timestep, generator)
            (weights.grad,) = torch.autograd.grad(loss, weights)
            optimizer.step()
            with torch.no_grad():
                weights.copy_(project_to_simplex(weights))
        text = f"{known.text(weights.argmax(1))} {case.prompt}"
        yield Attempt(text, context.encode([text]))


class StraightThrough(torch.autograd.Function):
    """One-hot rows forwards; hardtanh of the gradient backwards."""

    @staticmethod
    def forward(ctx, weights: Tensor, index: Tensor) -> Tensor:  # type: ignore[override]
        return F.one_hot(index, weights.shape[1]).to(weights)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[override]
        return F.hardtanh(gradient), None


def project_to_simplex(rows: Tensor) -> Tensor:
    """The nearest point of the probability simplex to each row (Duchi et al. 2008)."""
    ordered = rows.sort(dim=1, descending=True).values
    excess = ordered.cumsum(1) - 1
    count = torch.arange(1, rows.shape[1] + 1)
    last = (ordered - excess / count > 0).sum(1, keepdim=True) - 1
    return (rows - excess.gather(1, last) / (last + 1)).clamp(min=0)
