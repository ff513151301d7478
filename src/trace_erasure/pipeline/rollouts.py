"""States on sampler trajectories, and the frozen model's predictions at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.denoiser import Denoiser, GuidedPrediction
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.state_size import at_once
from trace_erasure.utils.progress import progress

CHUNK = 64
"""States that go through the network together; fewer where they are large."""
RETAIN_OFFSET = 50_000
"""Distance between the seeds of retained trajectories and of the concept's."""


@dataclass(frozen=True)
class Rollouts:
    """States on sampler trajectories, cached once and reused at every training step.

    Attributes:
        states: (n, …) latents.
        timesteps: (n,) the sampler's timestep at each.
        noise_levels: (n,) σ/(α+σ) in 0..1.
        prompt: (n,) index of the prompt that the trajectory is sampled for.
        seeds: (n,) seed of the trajectory.
        unconditional, conditional: (n, …) the network's outputs for the empty prompt and for the
            trajectory's own, where guidance has computed both.
    """

    states: Tensor
    timesteps: Tensor
    noise_levels: Tensor
    prompt: Tensor
    seeds: Tensor
    unconditional: Tensor | None = None
    conditional: Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: Tensor) -> Rollouts:
        """The states at ``index``."""
        parts: dict[str, Any] = {
            name: None if part is None else part[index] for name, part in vars(self).items()
        }
        return Rollouts(**parts)

    @classmethod
    def cat(cls, rollouts: Sequence[Rollouts]) -> Rollouts:
        """Several rollouts as one."""
        columns = zip(*(vars(one).values() for one in rollouts), strict=True)
        parts: list[Any] = [None if part[0] is None else torch.cat(part) for part in columns]
        return cls(*parts)


def trajectory_seeds(seed: int, count: int, offset: int = 0) -> list[int]:
    """Seeds of ``count`` trajectories; runs with different ``seed`` share none."""
    return [seed * 100_003 + offset + i for i in range(count)]


def collect_rollouts(
    denoiser: Denoiser,
    conditioning: Conditioning,
    seeds: Sequence[int],
    *,
    steps: int,
    guidance_scale: float,
    label: str = "rollout",
    size: tuple[int, int] | None = None,
) -> Rollouts:
    """Samples one trajectory for each seed, prompts in turn, with adapters as they are.

    Args:
        conditioning: one row for each prompt.
        steps: number of sampler steps.
        label: title of the progress bar.
        size: (height, width) of the pictures in pixels; None is the model's own.
    """
    shape = denoiser.family.state_shape(denoiser.pipe, *(size or (None, None)))
    together = at_once(shape, CHUNK)
    prompt = torch.arange(len(seeds)) % len(conditioning)
    empty = denoiser.unconditional()
    parts: list[Rollouts] = []
    for start in progress(range(0, len(seeds), together), desc=label):
        index = prompt[start : start + together]
        chunk = torch.tensor(list(seeds[start : start + together]))

        def keep(
            states: Tensor,
            timestep: Tensor,
            prediction: GuidedPrediction,
            index: Tensor = index,
            chunk: Tensor = chunk,
        ) -> None:
            times = timestep.cpu().expand(len(states)).clone()
            levels = denoiser.noise_levels(times).float()
            _, unconditional, conditional = prediction
            if unconditional is not None and conditional is not None:
                unconditional, conditional = unconditional.float(), conditional.float()
            parts.append(
                Rollouts(states.clone(), times, levels, index, chunk, unconditional, conditional)
            )

        denoiser.rollout(
            conditioning[index],
            empty,
            chunk.tolist(),
            steps=steps,
            guidance=guidance_scale,
            on_state=keep,
            size=size,
        )
    return Rollouts.cat(parts)


@torch.no_grad()
def predict_at(
    denoiser: Denoiser,
    rollouts: Rollouts,
    conditioning: Conditioning,
    prompt: Tensor | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """The network's outputs at every state, (n, …) float32, with adapters as they are.

    Args:
        conditioning: one row for each prompt, or one for all states.
        prompt: (n,) row of ``conditioning`` for each state; default: the trajectory's own.
        guidance: guidance scale, an input of networks with distilled guidance only.
    """
    n = len(rollouts)
    if prompt is None:
        prompt = rollouts.prompt if len(conditioning) > 1 else torch.zeros(n, dtype=torch.long)
    together = at_once(rollouts.states.shape, CHUNK)
    outputs = [
        denoiser.predict(
            rollouts.states[i : i + together],
            rollouts.timesteps[i : i + together],
            conditioning[prompt[i : i + together]],
            guidance,
        )
        for i in range(0, n, together)
    ]
    return torch.cat(outputs).float()


@dataclass(frozen=True)
class GuidanceProfile:
    """At which noise levels a concept differs from its surrogate.

    Attributes:
        noise_levels: (steps,) noisy to clean.
        energy: (steps,) share of ‖x̂₀(p) − x̂₀(s)‖² at each level; sums to 1.
    """

    noise_levels: list[float]
    energy: list[float]

    def level_below(self, share: float) -> float:
        """The smallest noise level such that ``share`` of the energy lies at or below it."""
        total = 0.0
        for level, energy in sorted(zip(self.noise_levels, self.energy, strict=True)):
            total += energy
            if total >= share:
                return level
        return max(self.noise_levels)


def guidance_profile(
    denoiser: Denoiser, rollouts: Rollouts, concept: Tensor, other: Tensor
) -> GuidanceProfile:
    """The share of the concept's guidance energy at each noise level, in units of x₀.

    There it means the same for every prediction type: the network's own output weighs the same
    difference of the picture by a factor that depends on the noise level and on what it predicts.

    Args:
        concept, other: (n, …) outputs of the frozen model at the states, for the concept prompt
            and for the surrogate or empty prompt.
    """
    gain = denoiser.noise_point(rollouts.timesteps).clean_gain.double().cpu()
    energy = gain.square() * mean_square(concept - other).double().cpu()
    levels, index = rollouts.noise_levels.unique(return_inverse=True)
    per_level = torch.zeros(len(levels), dtype=torch.float64).index_add(0, index, energy)
    order = levels.argsort(descending=True)
    share = (per_level / per_level.sum())[order]
    return GuidanceProfile(levels[order].tolist(), share.tolist())
