"""The samplers of this package's own, one algebra for every family, and latents to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.math.path_divergence import SamplerStep
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.families.pictures import scale_factor


@dataclass(frozen=True)
class Schedule:
    """The steps of a sampler.

    Attributes:
        timesteps: (n,) the network's input at each step, noisy to clean.
        noise_levels: of the state that each step begins with.
        steps: the steps themselves.
    """

    timesteps: Tensor
    noise_levels: tuple[float, ...]
    steps: tuple[SamplerStep, ...]

    def __len__(self) -> int:
        return len(self.steps)

    def below(self, noise_level: float) -> Schedule:
        """The steps that begin at or below ``noise_level``."""
        first = next((i for i, x in enumerate(self.noise_levels) if x <= noise_level), len(self))
        return Schedule(self.timesteps[first:], self.noise_levels[first:], self.steps[first:])


def schedule(denoiser: Denoiser, steps: int, *, eta: float = 0.0, end: float = 0.0) -> Schedule:
    """``steps`` steps at the pipeline's own timesteps.

    Args:
        eta: 0 is deterministic, 1 ancestral; see ``math.path_divergence.Step``.
        end: noise level at which sampling stops; 0 is where the model's own schedule does. Steps
            that would begin at or below it are left out.
    """
    timesteps = denoiser.timesteps(steps).cpu()
    paths = denoiser.noise_point(timesteps)
    levels = paths.noise_level.tolist()
    kept = [i for i, level in enumerate(levels) if level > end] if end else list(range(len(levels)))
    names = ("alpha", "sigma", "a", "b")
    points = [NoisePoint(*(getattr(paths, name)[i] for name in names)) for i in kept]
    points.append(_end(denoiser, end))
    found = tuple(SamplerStep(a, b, eta) for a, b in pairwise(points))
    return Schedule(timesteps[kept], tuple(levels[i] for i in kept), found)


def _end(denoiser: Denoiser, level: float) -> NoisePoint:
    """The last point of a schedule: at ``level``, or for 0 where the model's own schedule ends."""
    signal, noise = torch.tensor([1 - level, level], dtype=torch.float64)
    if denoiser.prediction != "flow":
        if level == 0:
            scheduler: Any = denoiser.scheduler
            signal = torch.as_tensor(scheduler.final_alpha_cumprod).double().sqrt()
            noise = (1 - signal.square()).clamp(min=0).sqrt()
        else:
            length = (signal.square() + noise.square()).sqrt()
            signal, noise = signal / length, noise / length
    return NoisePoint.of(denoiser.prediction, signal, noise)


@torch.no_grad()
def sample(  # noqa: PLR0913 - state, prompts and schedule of one run
    denoiser: Denoiser,
    conditioning: Conditioning,
    empty: Conditioning,
    states: Tensor,
    plan: Schedule,
    guidance: float,
    generators: Sequence[torch.Generator] = (),
    *,
    noise_scale: float = 1.0,
    adjust: Callable[[Tensor, NoisePoint], Tensor] | None = None,
) -> Tensor:
    """Runs ``plan`` from ``states`` (n, …), at its first noise level, to the end.

    Args:
        generators: one a state, needed where the plan is stochastic.
        noise_scale: factor on the fresh noise of every step.
        adjust: called on the states before every step, with where they are, and at the end.
    """
    for timestep, step in zip(plan.timesteps, plan.steps, strict=True):
        if adjust is not None:
            states = adjust(states, step.here)
        prediction = denoiser.predict_guided(states, timestep, conditioning, empty, guidance)
        states = step.mean(states, prediction.output)
        if step.eta:
            deviation = noise_scale * step.deviation.to(states.dtype)
            states = states + deviation * fresh(states, generators)
    return states if adjust is None else adjust(states, plan.steps[-1].there)


def fresh(states: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard normal numbers like ``states``, a generator each."""
    rows = [torch.randn(states.shape[1:], generator=one) for one in generators]
    return torch.stack(rows).to(states)


@torch.no_grad()
def to_pictures(denoiser: Denoiser, states: Tensor) -> list[Image.Image]:
    """Decodes final states (n, …)."""
    family, pipe = denoiser.family, denoiser.pipe
    pixels = family.decode(pipe, family.to_latents(pipe, states)).float().clamp(-1, 1)
    values = ((pixels + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(row) for row in values]


@torch.no_grad()
def to_states(denoiser: Denoiser, pictures: Sequence[Image.Image]) -> Tensor:
    """Clean states of ``pictures`` at the model's own size, without the encoder's noise."""
    vae: Any = denoiser.pipe.vae
    family, pipe = denoiser.family, denoiser.pipe
    shape = family.to_latents(pipe, torch.zeros(1, *family.state_shape(pipe, None, None))).shape
    height, width = (side * scale_factor(pipe) for side in shape[-2:])
    size = (width, height)
    arrays = [np.asarray(p.convert("RGB").resize(size), np.float32) / 127.5 - 1 for p in pictures]
    pixels = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).to(vae.device, vae.dtype)
    states = family.to_states(pipe, family.view(pipe, pixels))
    return states.to(denoiser.device, denoiser.dtype)
