"""Do erased pictures look like pictures of the same scene that never had the thing?

    python -m benchmarks scenes-damage --model emoji-scenes        # after `scenes`

The counterfactual half: pictures of the scene by the original model in which neither judge sees the
thing. The distance of a picture is that to the nearest of them, in the features of each judge. Rows
of ``scenes-damage.jsonl``, metric ``distance``: means over concepts, as a share of the distance
between two such pictures. Controls: the original's other pictures without the thing (1 by
definition), and those with it. Of a method's pictures those count in which no judge sees the thing.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.core.erasures import erasure_for, key_of
from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from benchmarks.scenes.gate import TESTED
from benchmarks.scenes.methods import METHODS, TRACE, mean_row, methods_for, protocol_of
from trace_erasure.evaluation import load_task
from trace_erasure.evaluation.judges import judges_for
from trace_erasure.evaluation.judges.base import pixel_values
from trace_erasure.pipeline.generate import generate
from trace_erasure.utils.progress import progress
from trace_erasure.world.scenes import load_scenes

WITHOUT, WITH = "original, without it", "original, with it"
BANK, FIRST_SEED = 120, 40_000
"""Pictures among which the counterfactual ones are found, and their first seed."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", default=["fast", TRACE], choices=METHODS)
    parser.add_argument("--concepts", nargs="+", default=list(TESTED), choices=TESTED)
    parser.add_argument("--images", type=int, default=48, help="of each scene and method")


class Scene:
    """A scene's pictures, whether they show its thing, and how far they are from the bank."""

    def __init__(self, pipe: Any, concept: str, judges: list[Any]) -> None:
        self.pipe, self.judges = pipe, judges
        self.prompt = load_scenes().implying(concept)[0].phrase
        self.label = f"thing/{concept}"
        bank = self.drawn(BANK, FIRST_SEED)
        clean = [picture for picture, has in zip(bank, self.shows(bank), strict=True) if not has]
        self.bank = [features(judge, clean) for judge in judges]

    def drawn(self, count: int, first: int = 0) -> list[Image.Image]:
        """Pictures with the adapters as they are."""
        how = load_task("implied").sampling
        return generate(
            self.pipe,
            [self.prompt] * count,
            [first + i for i in range(count)],
            steps=how.steps,
            guidance_scale=how.guidance_scale,
            autocast=True,
        )

    def shows(self, pictures: list[Image.Image]) -> list[bool]:
        """Whether any judge sees the thing."""
        seen = torch.zeros(len(pictures), dtype=torch.bool)
        for judge in self.judges:
            seen |= judge.classify(pictures)[:, judge.labels.index(self.label)] > 0
        return seen.tolist()

    def distances(self, pictures: list[Image.Image]) -> list[float]:
        """The mean distance to the nearest of the bank, in each judge's features."""
        return [
            float(nearest(features(judge, pictures), bank).mean())
            for judge, bank in zip(self.judges, self.bank, strict=True)
        ]


@torch.no_grad()
def features(judge: Any, pictures: list[Image.Image]) -> Tensor:
    """What the judge's last layer reads, (n, width)."""
    body = judge.model.base_model
    return body(pixel_values(pictures, None).to(judge.model.device)).pooler_output.flatten(1).cpu()


def nearest(pictures: Tensor, bank: Tensor) -> Tensor:
    """The distance of each row to the nearest row of ``bank``, (n,)."""
    return torch.cdist(pictures, bank).min(1).values


def of_concept(
    pipe: Any, concept: str, options: Namespace, judges: list[Any]
) -> dict[str, list[float]]:
    """Line to its distance in each judge's features, as a share of the first control's."""
    scene = Scene(pipe, concept, judges)
    task = load_task("implied").subset([concept])
    methods = methods_for(task, options.methods, {})
    found: dict[str, list[float]] = {}
    for name in (BASE, *options.methods):
        attached: Any = nullcontext()
        if name != BASE:
            owner, key = (task.name, concept), key_of(methods[name])
            work = folder_of(options)
            attached = erasure_for(pipe, owner, key, methods[name], 0, work).attach(pipe)
        with attached:
            pictures = scene.drawn(options.images)
        shows = scene.shows(pictures)
        for line, has in ((WITHOUT if name == BASE else name, False), (WITH, True)):
            own = [picture for picture, one in zip(pictures, shows, strict=True) if one is has]
            if own and (name == BASE or not has):
                found[line] = scene.distances(own)
    control = found[WITHOUT]
    return {line: [a / b for a, b in zip(v, control, strict=True)] for line, v in found.items()}


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    judges: list[Any] = judges_for(load_task("implied"))
    each = [
        of_concept(pipe, concept, options, judges)
        for concept in progress(options.concepts, desc="concepts")
    ]
    drawn = [(scene, seed) for scene in options.concepts for seed in range(options.images)]
    protocol = protocol_of(drawn)
    rows = []
    for line in (WITHOUT, WITH, *options.methods):
        for i, judge in enumerate(judges):
            values = [found[line][i] for found in each if line in found]
            where = (options.model, "scenes-damage", line)
            rows.append(mean_row(where, judge.id, "distance", values, protocol))
    write_rows("scenes-damage", options.model, rows, options.out)
    for row in rows:
        print(f"{row.method:24} {row.judge:28} {row.value:.2f} ({row.low:.2f} to {row.high:.2f})")
