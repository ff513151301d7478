"""What gradient attacks minimise, at noised states of pictures that show the concept."""

from __future__ import annotations

import torch
from torch import Tensor

from trace_erasure.attacks.context import AttackContext
from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.families.family import Conditioning


def add_noise(
    context: AttackContext, clean: Tensor, timestep: Tensor, generator: torch.Generator
) -> tuple:
    """(x, m): ``clean`` states (n, …) at ``timestep`` with fresh noise, and the ideal output."""
    path = context.denoiser.noise_point(timestep.reshape(1)).expand(clean)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    x, m = path.join(clean, noise)
    return x.to(clean.dtype), m.to(clean.dtype)


def denoising_loss(
    context: AttackContext,
    conditioning: Conditioning,
    clean: Tensor,
    timestep: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """‖m_θ(x_t, p′) − m‖²: how well the model under attack draws ``clean`` conditioned on p′."""
    context.tracker.spend("gradients", len(clean))
    x, m = add_noise(context, clean, timestep, generator)
    return mean_square(predict(context, x, timestep, conditioning) - m).mean()


def matching_loss(
    context: AttackContext,
    conditioning: Conditioning,
    original: Conditioning,
    clean: Tensor,
    timestep: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """‖m_θ(x_t, p′) − m_original(x_t, p)‖²: the model under attack against the original's."""
    context.tracker.spend("gradients", 2 * len(clean))
    x, _ = add_noise(context, clean, timestep, generator)
    with torch.no_grad(), context.original_model():
        goal = predict(context, x, timestep, original)
    return mean_square(predict(context, x, timestep, conditioning) - goal).mean()


def predict(
    context: AttackContext, x: Tensor, timestep: Tensor, conditioning: Conditioning
) -> Tensor:
    """The network's output, the one row of ``conditioning`` for every state."""
    rows = conditioning[[0] * len(x)]
    return context.denoiser.predict(x, timestep.to(x.device), rows, context.guidance)


def random_timestep(timesteps: Tensor, generator: torch.Generator) -> Tensor:
    """One of the sampler's timesteps, uniformly."""
    return timesteps[torch.randint(len(timesteps), (1,), generator=generator)][0]


def steps_per_attempt(context: AttackContext, cost: int) -> int:
    """Gradient steps of ``cost`` states each between two tries."""
    return max(1, context.tracker.budget.gradients // cost // context.tracker.budget.images)
