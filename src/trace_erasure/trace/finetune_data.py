"""The data of stage 2: states on trajectories, and what the frozen model predicts at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trace_erasure.config import FinetuneConfig
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import (
    RETAIN_OFFSET,
    GuidanceProfile,
    Rollouts,
    collect_rollouts,
    guidance_profile,
    predict_at,
    trajectory_seeds,
)

PROFILE_SHARE = 0.8
"""Without a given noise level, late states reach up to this share of the guidance energy."""


@dataclass
class FinetuneData:
    """Cached states and targets of stage 2.

    Attributes:
        concept_rollouts, retain_rollouts: states on the trajectories of the concept prompts and of
            the retained prompts.
        concept, empty, retained: embeddings of the prompts.
        e_p, e_0, e_s: outputs of the frozen model at the concept's states for the concept prompt,
            the empty prompt and the surrogate prompt.
        e_ref: outputs of the model with the closed-form edit there, for the concept prompt.
        e_r: outputs of the frozen model at the retained states.
        profile: the concept's guidance energy by noise level.
        noise_level: τ, up to which states are late.
        window: ``late`` trains late states away from the concept and holds early ones; ``early``
            swaps the two; ``all`` trains all states.
    """

    concept_rollouts: Rollouts
    retain_rollouts: Rollouts
    concept: Conditioning
    empty: Conditioning
    retained: Conditioning
    e_p: Tensor
    e_0: Tensor
    e_s: Tensor
    e_ref: Tensor
    e_r: Tensor
    profile: GuidanceProfile
    noise_level: float
    window: str = "late"

    @property
    def _is_trained(self) -> Tensor:
        is_late = self.concept_rollouts.noise_levels <= self.noise_level
        windows = {"late": is_late, "early": ~is_late, "all": torch.ones_like(is_late)}
        return windows[self.window]

    @property
    def late(self) -> Tensor:
        """Indices of the concept states that are trained away from the concept."""
        return self._is_trained.nonzero()[:, 0]

    @property
    def early(self) -> Tensor:
        """Indices of the concept states that are held."""
        return (~self._is_trained).nonzero()[:, 0]


def prepare_finetune_data(
    denoiser: Denoiser,
    concept_prompts: Sequence[str],
    surrogate_prompts: Sequence[str],
    retain_prompts: Sequence[str],
    settings: FinetuneConfig,
    seed: int,
) -> FinetuneData:
    """Samples trajectories of the frozen model and records its predictions.

    Args:
        denoiser: with the closed-form edit attached and switched on, where there is one.
        surrogate_prompts: ``concept_prompts`` with the surrogate in the concept's place.
        seed: of the trajectories.
    """
    concept = denoiser.encode(concept_prompts)
    surrogate = denoiser.encode(surrogate_prompts)
    retained = denoiser.encode(retain_prompts)
    empty = denoiser.unconditional()
    sampler: dict[str, Any] = dict(
        steps=settings.sampler_steps, guidance_scale=settings.guidance_scale
    )
    seeds = trajectory_seeds(seed, settings.trajectories)
    retain_seeds = trajectory_seeds(seed, settings.retain_trajectories, RETAIN_OFFSET)

    def outputs(cached: Tensor | None, at: Rollouts, conditioning: Conditioning) -> Tensor:
        """The outputs that the rollout has computed already, else computed now."""
        return predict_at(denoiser, at, conditioning) if cached is None else cached

    with denoiser.without_adapters():
        own = collect_rollouts(denoiser, concept, seeds, **sampler, label="concept trajectories")
        retain = collect_rollouts(
            denoiser, retained, retain_seeds, **sampler, label="retain trajectories"
        )
        e_p = outputs(own.conditional, own, concept)
        e_0 = outputs(own.unconditional, own, empty)
        e_s = predict_at(denoiser, own, surrogate)
        e_r = outputs(retain.conditional, retain, retained)
    e_ref = predict_at(denoiser, own, concept)
    profile = guidance_profile(own, e_p, e_s)
    return FinetuneData(
        concept_rollouts=own,
        retain_rollouts=retain,
        concept=concept,
        empty=empty,
        retained=retained,
        e_p=e_p,
        e_0=e_0,
        e_s=e_s,
        e_ref=e_ref,
        e_r=e_r,
        profile=profile,
        noise_level=settings.noise_level or profile.level_below(PROFILE_SHARE),
        window=settings.window,
    )
