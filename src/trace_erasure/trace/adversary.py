"""The inner step of adversarial finetuning: soft tokens that bring the concept back."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning

STEPS = 3
RADIUS = 0.3
"""Largest length of the perturbation of a token, relative to the token's own."""


def regenerate(
    denoiser: Denoiser,
    states: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    goal: Tensor,
    *,
    guidance: float = 1.0,
    steps: int = STEPS,
    radius: float = RADIUS,
) -> Conditioning:
    """Token embeddings near ``conditioning``'s for which the network's output nears ``goal``.

    Projected gradient descent (Madry et al. 2018) on ‖e_θ(z, p + δ) − goal‖², every token's δ
    within ``radius`` of its length. Each step starts from the best δ seen so far and is half as
    long after one that overshot, so that no state ends worse than it began. The network's own
    gradients are left as they were; what comes back has none. ``guidance`` is told to networks
    with distilled guidance.
    """
    tokens = conditioning.tokens.detach()
    limit = radius * tokens.norm(dim=-1, keepdim=True)
    length = limit.square().sum((1, 2), keepdim=True).sqrt()
    best, direction = torch.zeros_like(tokens), torch.zeros_like(tokens)
    least = torch.full_like(length, torch.inf)
    trial = best
    for step in range(steps + 1):
        trial = trial.detach().requires_grad_(True)
        moved = replace(conditioning, tokens=tokens + trial)
        output = denoiser.predict(states, timesteps, moved, guidance).float()
        loss = mean_square(output - goal)
        (gradient,) = torch.autograd.grad(loss.sum(), trial)
        loss = loss.detach()[:, None, None]
        better = loss < least
        size = gradient.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-30)
        best = torch.where(better, trial.detach(), best)
        direction = torch.where(better, gradient / size, direction)
        length = length if step == 0 else torch.where(better, length, length / 2)
        least = torch.where(better, loss, least)
        trial = best - length * direction
        trial = trial * (limit / trial.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return replace(conditioning, tokens=tokens + best)
