"""Cached states on the concept's trajectories, with what the frozen model predicts there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import Bank, collect, predictions


@dataclass(frozen=True)
class States:
    """States that the frozen model passes on its way to the concept.

    Attributes:
        bank: the states.
        concept, empty: embeddings of the concept prompts and of the empty one.
        e_p, e_0: the frozen model's outputs at every state for its concept prompt and the empty.
    """

    bank: Bank
    concept: Conditioning
    empty: Conditioning
    e_p: Tensor
    e_0: Tensor

    def at(self, index: Tensor) -> tuple[Tensor, Tensor, Conditioning]:
        """States, timesteps and concept embeddings of entries of the bank."""
        bank = self.bank
        return bank.states[index], bank.timesteps[index], self.concept[bank.prompt[index]]

    def of(self, prompts: Sequence[int]) -> States:
        """The states of some prompts' trajectories."""
        own = torch.isin(self.bank.prompt, torch.tensor(list(prompts))).nonzero()[:, 0]
        return replace(self, bank=self.bank[own], e_p=self.e_p[own], e_0=self.e_0[own])

    def without_prompt(self, index: Tensor) -> Conditioning:
        """The empty prompt as often as there are entries."""
        return self.empty[index * 0]


def visited(
    denoiser: Denoiser,
    prompts: Sequence[str],
    *,
    trajectories: int,
    steps: int,
    guidance_scale: float,
    seed: int,
    told: float = 1.0,
) -> States:
    """Rolls out ``prompts`` in turn by the frozen model.

    ``told`` is the guidance scale that a network distilled from guidance is told when predicting.
    """
    concept, empty = denoiser.encode(prompts), denoiser.unconditional()
    seeds = [seed * 100_003 + i for i in range(trajectories)]
    with denoiser.without_adapters():
        bank = collect(
            denoiser,
            concept,
            seeds,
            steps=steps,
            guidance_scale=guidance_scale,
            label="concept trajectories",
        )
        e_p = predictions(denoiser, bank, concept, bank.prompt, told)
        e_0 = predictions(denoiser, bank, empty, guidance=told)
    return States(bank, concept, empty, e_p, e_0)
