"""What gradient attacks minimise, at noised states of pictures that show the concept."""

from __future__ import annotations

import torch
from torch import Tensor

from trace_erasure.attacks.context import Arena
from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.families.family import Conditioning


def noised(arena: Arena, clean: Tensor, timestep: Tensor, generator: torch.Generator) -> tuple:
    """(x, m): ``clean`` states (n, …) at ``timestep`` with fresh noise, and the ideal output."""
    path = arena.denoiser.path(timestep.reshape(1)).expand(clean)
    noise = torch.randn(clean.shape, generator=generator).to(clean)
    x, m = path.join(clean, noise)
    return x.to(clean.dtype), m.to(clean.dtype)


def denoising(
    arena: Arena,
    conditioning: Conditioning,
    clean: Tensor,
    timestep: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """‖m_θ(x_t, p′) − m‖²: how well the model under attack draws ``clean`` when told p′."""
    arena.ledger.spend("gradients", len(clean))
    x, m = noised(arena, clean, timestep, generator)
    return mean_square(predict(arena, x, timestep, conditioning) - m).mean()


def matching(
    arena: Arena,
    conditioning: Conditioning,
    original: Conditioning,
    clean: Tensor,
    timestep: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """‖m_θ(x_t, p′) − m_original(x_t, p)‖²: the model under attack against the original's."""
    arena.ledger.spend("gradients", 2 * len(clean))
    x, _ = noised(arena, clean, timestep, generator)
    with torch.no_grad(), arena.undo():
        goal = predict(arena, x, timestep, original)
    return mean_square(predict(arena, x, timestep, conditioning) - goal).mean()


def predict(arena: Arena, x: Tensor, timestep: Tensor, conditioning: Conditioning) -> Tensor:
    """The network's output, the one row of ``conditioning`` for every state."""
    rows = conditioning[[0] * len(x)]
    return arena.denoiser.predict(x, timestep.to(x.device), rows, arena.guidance)


def pick(timesteps: Tensor, generator: torch.Generator) -> Tensor:
    """One of the sampler's timesteps, uniformly."""
    return timesteps[torch.randint(len(timesteps), (1,), generator=generator)][0]


def rounds(arena: Arena, cost: int) -> int:
    """Gradient steps of ``cost`` states each between two tries."""
    return max(1, arena.ledger.budget.gradients // cost // arena.ledger.budget.images)
