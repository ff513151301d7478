"""What stage 2 learns from: states of the concept and of other things, and what the frozen teacher
says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, ones_like

from trace_erasure.config import Finetune
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.rollouts import Bank, Profile, collect, predictions, profile

PROFILE_SHARE = 0.8
"""Without a given τ, the window reaches up to where this share of the concept's energy lies."""


@dataclass
class Lesson:
    """Cached states and targets: everything that stage 2 learns from.

    Attributes:
        late, early: concept states that are steered, and held: those at or below τ, and above,
            unless ``window`` says otherwise.
        concept, empty, retained: embeddings.
        e_p, e_0, e_s: teacher outputs on the concept bank for the concept, empty, surrogate prompt.
        e_ref: outputs of the stage-1 model for the concept prompt.
        e_r: teacher outputs on the retain bank.
    """

    bank: Bank
    retain_bank: Bank
    concept: Conditioning
    empty: Conditioning
    retained: Conditioning
    e_p: Tensor
    e_0: Tensor
    e_s: Tensor
    e_ref: Tensor
    e_r: Tensor
    profile: Profile
    noise_level: float
    window: str = "late"

    @property
    def _is_steered(self) -> Tensor:
        is_late = self.bank.noise_levels <= self.noise_level
        return {"late": is_late, "early": ~is_late, "all": ones_like(is_late)}[self.window]

    @property
    def late(self) -> Tensor:
        return self._is_steered.nonzero()[:, 0]

    @property
    def early(self) -> Tensor:
        return (~self._is_steered).nonzero()[:, 0]


def prepare(
    denoiser: Denoiser,
    concept_prompts: Sequence[str],
    surrogate_prompts: Sequence[str],
    retain_prompts: Sequence[str],
    settings: Finetune,
    seed: int,
) -> Lesson:
    """Rolls out and records the teacher. Stage 1, if any, is attached and switched on.

    ``surrogate_prompts[i]`` is ``concept_prompts[i]`` with the surrogate in the concept's place.
    """
    concept = denoiser.encode(concept_prompts)
    surrogate = denoiser.encode(surrogate_prompts)
    retained = denoiser.encode(retain_prompts)
    empty = denoiser.unconditional()
    sampler: dict[str, Any] = dict(
        steps=settings.sampler_steps, guidance_scale=settings.guidance_scale
    )
    seeds = [seed * 100_003 + i for i in range(settings.trajectories)]
    retain_seeds = [seed * 100_003 + 50_000 + i for i in range(settings.retain_trajectories)]

    def said(known: Tensor | None, bank: Bank, conditioning: Conditioning) -> Tensor:
        """What the rollout did not have to ask for is asked for now."""
        return predictions(denoiser, bank, conditioning) if known is None else known

    with denoiser.without_adapters():
        bank = collect(denoiser, concept, seeds, **sampler, label="concept trajectories")
        retain_bank = collect(
            denoiser, retained, retain_seeds, **sampler, label="retain trajectories"
        )
        e_p = said(bank.prompted, bank, concept)
        e_0 = said(bank.unprompted, bank, empty)
        e_s = predictions(denoiser, bank, surrogate)
        e_r = said(retain_bank.prompted, retain_bank, retained)
    e_ref = predictions(denoiser, bank, concept)
    measured = profile(bank, e_p, e_s)
    level = settings.noise_level or measured.level_below(PROFILE_SHARE)
    return Lesson(
        bank,
        retain_bank,
        concept,
        empty,
        retained,
        e_p,
        e_0,
        e_s,
        e_ref,
        e_r,
        measured,
        level,
        settings.window,
    )
