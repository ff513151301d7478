"""The inner step of adversarial finetuning: soft tokens that bring the concept back."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trace_erasure.denoiser import Denoiser
from trace_erasure.families.table import Conditioning
from trace_erasure.math.objectives import mean_square

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
    steps: int = STEPS,
    radius: float = RADIUS,
) -> Conditioning:
    """Token embeddings near ``conditioning``'s for which the network's output nears ``goal``.

    Projected gradient descent (Madry et al. 2018) on ‖e_θ(z, p + δ) − goal‖², every token's δ
    within ``radius`` of its length, with steps of 1.5 radius / ``steps`` of the whole prompt's.
    Each state gets the best δ that was seen, none at all included. The network's own gradients are
    left as they were; what comes back has none.
    """
    tokens = conditioning.tokens.detach()
    limit = radius * tokens.norm(dim=-1, keepdim=True)
    reach = limit.square().sum((1, 2), keepdim=True).sqrt()
    delta = best = torch.zeros_like(tokens)
    least = torch.full((len(tokens),), torch.inf, device=tokens.device)
    for step in range(steps + 1):
        delta = delta.detach().requires_grad_(step < steps)
        with torch.set_grad_enabled(step < steps):
            moved = replace(conditioning, tokens=tokens + delta)
            loss = mean_square(denoiser.predict(states, timesteps, moved).float() - goal)
        better = loss.detach() < least
        least = torch.where(better, loss.detach(), least)
        best = torch.where(better[:, None, None], delta.detach(), best)
        if step < steps:
            (gradient,) = torch.autograd.grad(loss.sum(), delta)
            length = gradient.square().sum((1, 2), keepdim=True).sqrt().clamp(min=1e-30)
            delta = delta.detach() - 1.5 / steps * reach * gradient / length
            delta = delta * (limit / delta.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
    return replace(conditioning, tokens=tokens + best)
