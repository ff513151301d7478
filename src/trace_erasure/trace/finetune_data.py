"""The data of stage 2: states on trajectories, and what the frozen model predicts at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.math.objectives import Outputs, in_proportion
from trace_erasure.math.parameterization import guide
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
from trace_erasure.trace.windows import Oracle, presence

PER_SCENE = 8
"""Trajectories of each state prompt, at least: not all of them show the concept."""
PROFILE_SHARE = 0.45
"""Without a given noise level, late states reach up to this share of the guidance energy."""


@dataclass
class FinetuneData:
    """Cached states and targets of stage 2.

    Attributes:
        concept_rollouts, retain_rollouts: states on the trajectories of the steered prompts and
            of the retained prompts.
        concept, empty, retained: embeddings of the prompts.
        e_x: outputs of the frozen model at the steered states for their own prompts.
        e_p, e_0, e_s: its outputs there for the concept prompt, which is the states' own where
            no state prompts are given, for the empty prompt and the surrogate prompt. With state
            prompts the first and the last are the scene with the concept and with the surrogate.
        e_ref: outputs of the model with the closed-form edit there, for the states' own prompts.
        e_r: outputs of the frozen model at the retained states.
        presence: (n,) how much of the state's trajectory is the concept, 0 to 1.
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
    e_x: Tensor
    e_p: Tensor
    e_0: Tensor
    e_s: Tensor
    e_ref: Tensor
    e_r: Tensor
    presence: Tensor
    profile: GuidanceProfile
    noise_level: float
    window: str = "late"

    @property
    def _is_trained(self) -> Tensor:
        is_late = self.concept_rollouts.noise_levels <= self.noise_level
        windows = {"late": is_late, "early": ~is_late, "all": torch.ones_like(is_late)}
        return windows[self.window] & (self.presence > 0)

    @property
    def late(self) -> Tensor:
        """Indices of the concept states that are trained away from the concept."""
        return self._is_trained.nonzero()[:, 0]

    @property
    def early(self) -> Tensor:
        """Indices of the concept states that are held: outside the window, or without it."""
        return (~self._is_trained).nonzero()[:, 0]

    def outputs(self, index: Tensor) -> Outputs:
        """What the objective compares at the concept states ``index``."""
        if self.e_x is self.e_p:
            return Outputs(self.e_p[index], self.e_0[index], self.e_s[index])
        found = Outputs(self.e_p[index], self.e_x[index], self.e_s[index])
        return in_proportion(found, self.presence[index].to(self.e_x))


def prepare_finetune_data(
    denoiser: Denoiser,
    prompts: SteeredPrompts,
    retain_prompts: Sequence[str],
    settings: FinetuneConfig,
    seed: int,
) -> FinetuneData:
    """Samples trajectories of the frozen model and records its predictions.

    Args:
        denoiser: with the closed-form edit attached and switched on, where there is one.
        seed: of the trajectories.

    Raises:
        InputError: no window of perfect steering removes the concept, where τ is asked of it.
    """
    state, retained = map(denoiser.encode, (prompts.state, retain_prompts))
    empty = denoiser.unconditional()
    told = settings.guidance_scale
    sampler: dict[str, Any] = dict(steps=settings.sampler_steps, guidance_scale=told)
    scenes = denoiser.encode(prompts.scenes) if prompts.implied else state
    count = max(settings.trajectories, PER_SCENE * len(scenes) * prompts.implied)
    seeds = trajectory_seeds(seed, count)
    retain_seeds = trajectory_seeds(seed, settings.retain_trajectories, RETAIN_OFFSET)

    def outputs(cached: Tensor | None, at: Rollouts, conditioning: Conditioning) -> Tensor:
        """The outputs that the rollout has computed already, else computed now."""
        if cached is not None:
            return cached
        return predict_at(denoiser, at, conditioning, guidance=told)

    with denoiser.without_adapters():
        own = collect_rollouts(denoiser, scenes, seeds, **sampler, label="concept trajectories")
        retain = collect_rollouts(
            denoiser, retained, retain_seeds, **sampler, label="retain trajectories"
        )
        e_x = outputs(own.conditional, own, scenes)
        e_0 = outputs(own.unconditional, own, empty)
        e_r = outputs(retain.conditional, retain, retained)
        shares = torch.ones(len(own))
        by_oracle = settings.noise_level is None and settings.noise_level_by == "oracle"
        oracle = None
        if prompts.implied or by_oracle:
            oracle = Oracle(denoiser, prompts, settings, seed)
        e_p = e_x
        if oracle is not None and prompts.implied:
            last, clean = final_states(denoiser, own, e_x, e_0, told)
            found, row = presence(oracle, clean, own.prompt[last], prompts)
            trajectory = _trajectory_of(own, last)
            shares, own = found[trajectory], replace(own, prompt=row[trajectory])
            e_p = predict_at(denoiser, own, denoiser.encode(prompts.concept), guidance=told)
        e_s = predict_at(denoiser, own, denoiser.encode(prompts.surrogate), guidance=told)
        profile = guidance_profile(denoiser, own, e_p, e_s)
        noise_level = settings.noise_level or profile.level_below(PROFILE_SHARE)
        if oracle is not None and by_oracle:
            noise_level = _level_by(oracle)
    e_ref = predict_at(denoiser, own, state, guidance=told)
    return FinetuneData(
        concept_rollouts=own,
        retain_rollouts=retain,
        concept=state,
        empty=empty,
        retained=retained,
        e_x=e_x,
        e_p=e_p,
        e_0=e_0,
        e_s=e_s,
        e_ref=e_ref,
        e_r=e_r,
        presence=shares,
        profile=profile,
        noise_level=noise_level,
        window=settings.window,
    )


def final_states(
    denoiser: Denoiser, rollouts: Rollouts, e_x: Tensor, e_0: Tensor, guidance: float
) -> tuple[Tensor, Tensor]:
    """Index of each trajectory's last state, and the clean latents (m, …) that it leads to."""
    lowest = rollouts.noise_levels.min()
    last = (rollouts.noise_levels == lowest).nonzero()[:, 0]
    output = e_x[last]
    if denoiser.needs_unconditional(guidance):
        output = guide(e_0[last], output, guidance)
    states = rollouts.states[last]
    point = denoiser.noise_point(rollouts.timesteps[last]).expand(states)
    return last, point.split(states, output)[0].to(states.dtype)


def _trajectory_of(rollouts: Rollouts, last: Tensor) -> Tensor:
    """For each state, the position of its trajectory among the last states ``last``, (n,)."""
    position = {seed: i for i, seed in enumerate(rollouts.seeds[last].tolist())}
    return torch.tensor([position[seed] for seed in rollouts.seeds.tolist()])


def _level_by(oracle: Oracle) -> float:
    window = oracle.smallest()
    if window is None:
        raise InputError(
            "no window of noise levels removes the concept, even with perfect steering, so that "
            "τ cannot be found by the oracle. Choose another objective or a larger eta, or give "
            "noise_level."
        )
    return window.noise_level
