"""A short finetune of merged artifacts: each concept shall be as it is with its artifact alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.resolve import pairs
from trace_erasure.config import Finetune
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import predictions
from trace_erasure.trace.finetune import ADAPTER, steer, trained
from trace_erasure.trace.finetune_data import prepare

MERGED = "trace_merged"


def integrate(
    denoiser: Denoiser,
    whole: Delta,
    parts: Sequence[tuple[Delta, float]],
    owners: Sequence[int],
    concepts: Sequence[Concept],
    ordinary: Sequence[str],
    settings: Finetune,
    seed: int,
) -> tuple[dict[str, LowRank], dict[str, Any]]:
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
    asked, instead, whose = pairs(concepts)
    settings = replace(settings, trajectories=max(settings.trajectories, len(concepts)))
    retained = list(ordinary[: settings.retain_trajectories])
    losses: list[float] = []
    with adapters.frozen(denoiser, MERGED, ADAPTER):
        adapters.attach(denoiser, whole, MERGED)
        lesson = prepare(denoiser, asked, instead, retained, settings, seed)
        adapters.detach(denoiser, MERGED)
        lesson.noise_level = 1.0
        owner = torch.tensor([owners[whose[prompt]] for prompt in lesson.bank.prompt.tolist()])
        for i, (delta, strength) in enumerate(parts):
            index = (owner == i).nonzero()[:, 0]
            if not len(index):
                continue
            adapters.attach(denoiser, delta, MERGED, strength)
            lesson.e_s[index] = predictions(denoiser, lesson.bank[index], lesson.concept)
            adapters.detach(denoiser, MERGED)
        adapters.attach(denoiser, whole, MERGED)
        goal = replace(settings, objective="anchor", eta=1.0)
        steps = steer(denoiser, lesson, goal, seed)
        for step in tqdm(steps, "integrate", settings.steps, leave=False, disable=None):
            losses.append(step.loss)
        tuned = trained(denoiser)
    return tuned, {"first_loss": losses[0], "final_loss": losses[-1]}
