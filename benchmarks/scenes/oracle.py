"""What perfect steering does to scenes, by direction and window, before any training.

    python -m benchmarks scenes-oracle --model emoji-scenes
    python -m benchmarks scenes-oracle --model emoji-scenes --concepts knife --images 4

The teacher itself emits the target of ``reverse_cfg`` at and below a noise level. The direction
starts from the scene's prompt, as stage 2 has it, or from the empty prompt, as ESD has it. Rows go
to <out>/<model>/scenes-oracle.jsonl, task ``oracle/<noise level>``: ``acc_implied`` and
``acc_scene``. The pictures of ``--picture`` stand in rows: the original, then each window.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.core.models import load_model
from benchmarks.core.rows import write_rows
from benchmarks.scenes.gate import TESTED
from benchmarks.scenes.methods import mean_row, protocol_of
from trace_erasure.config import FinetuneConfig
from trace_erasure.demo.contact_sheet import picture_rows
from trace_erasure.evaluation import Row, load_task
from trace_erasure.evaluation.judges import judges_for
from trace_erasure.evaluation.judges.base import ImageClassifierJudge
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import trajectory_seeds
from trace_erasure.pipeline.sampler import to_pictures
from trace_erasure.trace.oracle import Steering, steered_rollout
from trace_erasure.utils.progress import progress
from trace_erasure.world import load_world, with_article
from trace_erasure.world.scenes import ImplyingScene, load_scenes

IN_SCENE, FROM_EMPTY = "in the scene", "from the empty prompt"
ETAS = {IN_SCENE: FinetuneConfig.for_scenes("a scene").strength, FROM_EMPTY: 1.0}
NOWHERE = 0.0
LOWEST = 0.7
"""Of the noise levels that are windows."""
SHOWN = 8
"""Pictures in a line of ``--picture``."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--concepts", nargs="+", default=list(TESTED))
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--picture", type=Path, help="PNG file of the first concept's pictures")


def steering(denoiser: Denoiser, scene: ImplyingScene, direction: str, count: int) -> Steering:
    """One row a picture."""
    thing = with_article(load_world().thing(scene.implies))
    named = f"{scene.phrase} with {thing}" if direction == IN_SCENE else f"a picture of {thing}"
    state, concept = (denoiser.encode([text])[[0] * count] for text in (scene.phrase, named))
    eta = ETAS[direction]
    empty = denoiser.unconditional()
    # The surrogate has no part in this objective.
    return Steering(state, concept, state, empty, "reverse_cfg", eta, direction == IN_SCENE)


def shown(judge: ImageClassifierJudge, pictures: list[Image.Image], label: str) -> float:
    """Share of ``pictures`` that show ``label``."""
    logits = judge.classify(pictures)
    return float((logits[:, judge.labels.index(label)] > 0).float().mean())


def measured(options: Namespace, denoiser: Denoiser, judges: list[Any]) -> Iterator[Row]:
    """The rows of every window and direction."""
    sampling = load_task("implied").sampling
    levels = denoiser.noise_levels(denoiser.timesteps(sampling.steps).cpu()).tolist()
    windows = [NOWHERE, *sorted(level for level in levels if level >= LOWEST)]
    scenes = [load_scenes().implying(name)[0] for name in options.concepts]
    seeds = trajectory_seeds(0, options.images)
    protocol = protocol_of([(scene.name, seed) for scene in scenes for seed in seeds])
    lines: list[tuple[str, list[Image.Image]]] = []
    cells = [(d, w) for d in ETAS for w in windows if w != NOWHERE or d == IN_SCENE]
    for direction, window in progress(cells, desc="windows"):
        found: dict[tuple[str, str], list[float]] = {}
        for scene in scenes:
            states = steered_rollout(
                denoiser,
                steering(denoiser, scene, direction, len(seeds)),
                seeds,
                torch.full((len(seeds),), window),
                steps=sampling.steps,
                guidance=sampling.guidance_scale,
            )
            pictures = to_pictures(denoiser, states)
            if scene is scenes[0]:
                lines.append((f"≤ {window:.3f}" if window else "original", pictures[:SHOWN]))
            for judge in judges:
                for metric, label in (
                    ("acc_implied", f"thing/{scene.implies}"),
                    ("acc_scene", f"scene/{scene.name}"),
                ):
                    found.setdefault((judge.id, metric), []).append(shown(judge, pictures, label))
        method = "base" if window == NOWHERE else direction
        for (judge, metric), values in found.items():
            yield mean_row(
                (options.model, f"oracle/{window:.3f}", method), judge, metric, values, protocol
            )
    if options.picture:
        picture_rows(lines).save(options.picture)


def run(options: Namespace) -> None:
    denoiser = Denoiser(load_model(options.model, options.device))
    judges: list[Any] = judges_for(load_task("implied"))
    with denoiser.without_adapters():
        rows = list(measured(options, denoiser, judges))
    write_rows("scenes-oracle", options.model, rows, options.out)
