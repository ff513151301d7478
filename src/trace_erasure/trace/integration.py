"""A short finetune of merged artifacts: each concept shall be as it is with its artifact alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from trace_erasure.artifact.record import Integration
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.resolve import prompt_pairs
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import FinetuneConfig
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import predict_at
from trace_erasure.trace.finetune import finetune_adapter
from trace_erasure.trace.finetune_data import prepare_finetune_data

MERGED = "trace_merged"


def integrate(
    denoiser: Denoiser,
    whole: Delta,
    parts: Sequence[tuple[Delta, float]],
    owners: Sequence[int],
    concepts: Sequence[ResolvedConcept],
    ordinary: Sequence[str],
    settings: FinetuneConfig,
    seed: int,
) -> tuple[dict[str, LowRank], Integration]:
    """A change on top of ``whole``: on every concept's sentences the model that has everything
    shall predict what the one with that artifact alone does, at all noise levels.

    Args:
        whole: everything that is merged.
        parts: each artifact's change, and the strength that it is merged at.
        owners: of each concept, the number of its artifact.
        ordinary: captions without the concepts, to retain.

    Returns:
        The change, and the first and the final loss.

    Raises:
        NonFiniteError: when training diverges; the pipeline is restored.
    """
    asked, instead, whose = prompt_pairs(concepts)
    settings = replace(settings, trajectories=max(settings.trajectories, len(concepts)))
    retained = list(ordinary[: settings.retain_trajectories])
    with adapters.frozen(denoiser, MERGED):
        adapters.attach(denoiser, whole, MERGED)
        prompts = SteeredPrompts.own(asked, instead)
        data = prepare_finetune_data(denoiser, prompts, retained, settings, seed)
        adapters.detach(denoiser, MERGED)
        data.noise_level = 1.0
        owner = torch.tensor(
            [owners[whose[prompt]] for prompt in data.concept_rollouts.prompt.tolist()]
        )
        for i, (delta, strength) in enumerate(parts):
            index = (owner == i).nonzero()[:, 0]
            if not len(index):
                continue
            adapters.attach(denoiser, delta, MERGED, strength)
            data.e_s[index] = predict_at(
                denoiser,
                data.concept_rollouts[index],
                data.concept,
                guidance=settings.guidance_scale,
            )
            adapters.detach(denoiser, MERGED)
        adapters.attach(denoiser, whole, MERGED)
        anchored = replace(settings, objective="anchor", eta=1.0)
        found = finetune_adapter(denoiser, data, anchored, seed, label="integrate")
    return found.delta, Integration(first_loss=found.losses[0], final_loss=found.losses[-1])
