"""States that a sampler passes through, with the frozen teacher's predictions at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.denoiser import Denoiser, Guided
from trace_erasure.pipeline.families.family import Conditioning

CHUNK = 64


@dataclass(frozen=True)
class Bank:
    """Visited states, cached once and reused at every training step.

    Attributes:
        states: (n, …) latents.
        timesteps: (n,) the sampler's timestep at each.
        noise_levels: (n,) in 0..1.
        prompt: (n,) index of the prompt whose trajectory it is.
        seeds: (n,) seed of the trajectory.
        unprompted, prompted: (n, …) the network's outputs at each for the empty prompt and for the
            trajectory's own, where the rollout asked for both.
    """

    states: Tensor
    timesteps: Tensor
    noise_levels: Tensor
    prompt: Tensor
    seeds: Tensor
    unprompted: Tensor | None = None
    prompted: Tensor | None = None

    def __len__(self) -> int:
        return len(self.states)

    def __getitem__(self, index: Tensor) -> Bank:
        """Some of the states."""
        parts: dict[str, Any] = {
            name: None if part is None else part[index] for name, part in vars(self).items()
        }
        return Bank(**parts)

    @classmethod
    def cat(cls, banks: Sequence[Bank]) -> Bank:
        """Several banks as one."""
        columns = zip(*(vars(bank).values() for bank in banks), strict=True)
        parts: list[Any] = [None if part[0] is None else torch.cat(part) for part in columns]
        return cls(*parts)


def collect(
    denoiser: Denoiser,
    conditioning: Conditioning,
    seeds: Sequence[int],
    *,
    steps: int,
    guidance_scale: float,
    label: str = "rollout",
) -> Bank:
    """Rolls out one trajectory a seed, prompts in turn, with adapters as they are."""
    prompt = torch.arange(len(seeds)) % len(conditioning)
    empty = denoiser.unconditional()
    parts: list[Bank] = []
    for start in tqdm(range(0, len(seeds), CHUNK), desc=label, leave=False, disable=None):
        index = prompt[start : start + CHUNK]
        chunk = torch.tensor(list(seeds[start : start + CHUNK]))

        def visit(
            states: Tensor,
            timestep: Tensor,
            outputs: Guided | None,
            index: Tensor = index,
            chunk: Tensor = chunk,
        ) -> None:
            times = timestep.cpu().expand(len(states))
            levels = denoiser.noise_levels(times).float()
            said = (part.float() for part in outputs or ())
            parts.append(Bank(states.clone(), times.clone(), levels, index, chunk, *said))

        denoiser.rollout(
            conditioning[index],
            empty,
            chunk.tolist(),
            steps=steps,
            guidance=guidance_scale,
            visit=visit,
        )
    return Bank.cat(parts)


@torch.no_grad()
def predictions(
    denoiser: Denoiser,
    bank: Bank,
    conditioning: Conditioning,
    prompt: Tensor | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """The network's outputs at every state of ``bank``, (n, …), with adapters as they are.

    ``prompt`` indexes ``conditioning``, by default each state's own; a single row serves all.
    ``guidance`` is what a network that is distilled from guidance is told.
    """
    if prompt is None:
        prompt = bank.prompt if len(conditioning) > 1 else torch.zeros(len(bank), dtype=torch.long)
    outputs = [
        denoiser.predict(
            bank.states[i : i + CHUNK],
            bank.timesteps[i : i + CHUNK],
            conditioning[prompt[i : i + CHUNK]],
            guidance,
        )
        for i in range(0, len(bank), CHUNK)
    ]
    return torch.cat(outputs).float()


@dataclass(frozen=True)
class Profile:
    """Where along the trajectory a concept is decided.

    Attributes:
        noise_levels: (steps,) noisy to clean.
        energy: (steps,) share of ‖e_p − e_s‖² at each level; sums to 1.
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


def profile(bank: Bank, concept: Tensor, other: Tensor) -> Profile:
    """The share of the concept's guidance energy at each noise level of ``bank``.

    ``concept`` and ``other`` are teacher outputs at the bank's states, for the concept prompt and
    for the surrogate (or empty) prompt.
    """
    energy = mean_square(concept - other).double().cpu()
    levels, index = bank.noise_levels.unique(return_inverse=True)
    per_level = torch.zeros(len(levels), dtype=torch.float64).index_add(0, index, energy)
    order = levels.argsort(descending=True)
    share = (per_level / per_level.sum())[order]
    return Profile(levels[order].tolist(), share.tolist())
