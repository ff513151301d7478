"""Cached states on the concepts' trajectories, with the frozen model's predictions there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import (
    Rollouts,
    collect_rollouts,
    predict_at,
    trajectory_seeds,
)


@dataclass(frozen=True)
class ConceptRollouts:
    """States on the frozen model's trajectories for the concept prompts.

    Attributes:
        rollouts: the states.
        concept, empty: embeddings of the concept prompts and of the empty one.
        e_p, e_0: (n, …) the frozen model's outputs at every state, for the prompt of its
            trajectory and for the empty one.
    """

    rollouts: Rollouts
    concept: Conditioning
    empty: Conditioning
    e_p: Tensor
    e_0: Tensor

    def at(self, index: Tensor) -> tuple[Tensor, Tensor, Conditioning]:
        """States, timesteps and concept embeddings at ``index``."""
        own = self.rollouts
        return own.states[index], own.timesteps[index], self.concept[own.prompt[index]]

    def of_prompts(self, prompts: Sequence[int]) -> ConceptRollouts:
        """The states on the trajectories of some prompts."""
        own = torch.isin(self.rollouts.prompt, torch.tensor(list(prompts))).nonzero()[:, 0]
        return replace(self, rollouts=self.rollouts[own], e_p=self.e_p[own], e_0=self.e_0[own])

    def empty_at(self, index: Tensor) -> Conditioning:
        """The empty prompt's embedding, once for each entry of ``index``."""
        return self.empty[index * 0]


def rollout_concepts(
    denoiser: Denoiser,
    prompts: Sequence[str],
    *,
    trajectories: int,
    steps: int,
    guidance_scale: float,
    seed: int,
    distilled_guidance: float = 1.0,
) -> ConceptRollouts:
    """Samples trajectories of the frozen model, ``prompts`` in turn.

    Args:
        trajectories: how many.
        steps, guidance_scale: of the sampler.
        distilled_guidance: guidance scale of the recorded outputs, an input of networks with
            distilled guidance only.
    """
    concept, empty = denoiser.encode(prompts), denoiser.unconditional()
    with denoiser.without_adapters():
        rollouts = collect_rollouts(
            denoiser,
            concept,
            trajectory_seeds(seed, trajectories),
            steps=steps,
            guidance_scale=guidance_scale,
            label="concept trajectories",
        )
        e_p = predict_at(denoiser, rollouts, concept, rollouts.prompt, distilled_guidance)
        e_0 = predict_at(denoiser, rollouts, empty, guidance=distilled_guidance)
    return ConceptRollouts(rollouts, concept, empty, e_p, e_0)
