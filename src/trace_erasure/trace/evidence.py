"""Whether a picture shows a concept, by the model's own account.

Which prompt explains it? A diffusion model is a classifier (Li et al. 2023): of two prompts, the
one for which it predicts the noise in a picture better is the likelier one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Noise levels at which predictions are compared: above them all pictures look alike, below them
every prompt explains them."""
FINE = 50
"""Steps of the schedule that the levels are taken from."""


@torch.no_grad()
def evidence(
    denoiser: Denoiser,
    clean: Tensor,
    shown: Conditioning,
    absent: Conditioning,
    *,
    seed: int,
    guidance: float,
) -> Tensor:
    """How much better ``shown`` explains clean latents than ``absent`` does, (n,) float32.

    The mean over ``LEVELS`` of ‖ε − ε̂(absent)‖² − ‖ε − ε̂(shown)‖², with the same noise for both.

    Args:
        clean: (n, …) latents without noise.
        shown, absent: one row for each of them.
        guidance: told to networks with distilled guidance.
    """
    generator = torch.Generator().manual_seed(seed)
    fine = denoiser.timesteps(FINE).cpu()
    levels = denoiser.noise_levels(fine)
    found = torch.zeros(len(clean))
    both = Conditioning.cat([absent, shown])
    for level in LEVELS:
        timestep = fine[(levels - level).abs().argmin()]
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        point = denoiser.noise_point(timestep.expand(len(clean))).expand(clean)
        states, _ = point.join(clean, noise)
        states = states.to(denoiser.dtype)
        outputs = denoiser.predict(torch.cat([states] * 2), timestep, both, guidance)
        errors = [mean_square(noise - point.split(states, m)[1]) for m in outputs.chunk(2)]
        found += (errors[0] - errors[1]).float().cpu()
    return found / len(LEVELS)


@dataclass(frozen=True)
class Scale:
    """Evidence where a concept is surely absent and where it is surely shown.

    >>> Scale(absent=-2.0, shown=2.0).share(torch.tensor([-3.0, 0.0, 9.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    absent: float
    shown: float

    @classmethod
    def of(cls, absent: Tensor, shown: Tensor) -> Scale:
        """From the evidence of pictures of either kind, (n,) each; their medians."""
        return cls(float(absent.median()), float(shown.median()))

    @property
    def tells(self) -> bool:
        """Whether the two can be told apart at all."""
        return self.shown > self.absent

    def share(self, found: Tensor) -> Tensor:
        """Where evidence lies between the two, 0 to 1."""
        return ((found - self.absent) / (self.shown - self.absent)).clamp(0, 1)
