"""What negative prompts do after an erasure, beside the original model.

    python -m benchmarks negative --model emoji-sd
    python -m benchmarks negative --model emoji-flux

Each of ``CONCEPTS`` is erased at the defaults. ``CASES`` says what is asked for, what is in the
negative prompt, and so which metric it is: the share of the pictures in which a judge sees what was
asked for. Rows go to <out>/<model>/negative.jsonl, task ``negative``, over all concepts.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from benchmarks.core.erasures import erasure_for, key_of
from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.trace import Trace
from trace_erasure.evaluation import Item, Row, detector_for, load_task, shipped_classifiers
from trace_erasure.evaluation.tasks.task import items_digest
from trace_erasure.math.statistics import wilson_interval
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.utils.words import indefinite_article

TASK, METHOD = "negative", "trace"
CONCEPTS = ("fox", "car", "apple")
OTHERS = ("castle", "owl", "umbrella", "banana")
ORDINARY = "a gray background, sketch style"
TRUE_GUIDANCE = 2.0
"""Of pipelines with guidance built in, which read a negative prompt only beside it."""
CASES = {
    "named": ("concept", "ordinary"),
    "others": ("other", "ordinary"),
    "others_negated": ("other", "concept"),
    "surrogate_negated": ("surrogate", "concept"),
}
"""Metric to what is asked for, and to what the negative prompt is."""
SEEDS = 8


@dataclass(frozen=True)
class Picture:
    """One picture: a thing that is asked for, and what is not to be in it."""

    thing: str
    negative: str
    seed: int

    @property
    def prompt(self) -> str:
        return f"a picture of {_with_article(self.thing)}"


def _with_article(thing: str) -> str:
    return f"{indefinite_article(thing)} {thing}"


def pictures_of(case: str, concept: str, surrogate: str, seeds: int) -> list[Picture]:
    """The pictures of one of ``CASES`` for one concept."""
    asked, kept_out = CASES[case]
    negative = ORDINARY if kept_out == "ordinary" else _with_article(concept)
    things = {"concept": [concept], "surrogate": [surrogate], "other": OTHERS}[asked]
    return [Picture(things[i % len(things)], negative, 9000 + i) for i in range(seeds)]


def draw(pipe: Any, pictures: list[Picture]) -> list[Image.Image]:
    """Pictures with their negative prompts, as the task ``objects`` samples."""
    family, how = family_of(pipe), load_task("objects").sampling
    true = {"true_cfg_scale": TRUE_GUIDANCE} if family.distilled(pipe) else {}
    with torch.autocast(pipe.device.type, torch.bfloat16):
        answer = pipe(
            prompt=[picture.prompt for picture in pictures],
            negative_prompt=[picture.negative for picture in pictures],
            num_inference_steps=how.steps,
            output_type="pil",
            generator=[torch.Generator().manual_seed(picture.seed) for picture in pictures],
            **family.guided_by(how.guidance_scale, len(pictures)),
            **true,
            **family.call_options(pipe),
        )
    return family.pictures(answer)


class Count:
    """Readings of one metric by one judge."""

    def __init__(self) -> None:
        self.seen: list[bool] = []
        self.names: list[str] = []

    def add(self, pictures: list[Picture], images: list[Image.Image], judge: Any) -> None:
        for thing in {picture.thing for picture in pictures}:
            mine = [i for i, picture in enumerate(pictures) if picture.thing == thing]
            item = Item(pictures[mine[0]].prompt, 0, "retain", thing, (f"subject/{thing}",))
            self.seen += map(bool, detector_for(judge, item)([images[i] for i in mine]))
        self.names += [f"{p.prompt}/{p.negative}/{p.seed}" for p in pictures]

    def row(self, model: str, method: str, judge: str, metric: str) -> Row:
        hits, n = sum(self.seen), len(self.seen)
        how = load_task("objects").protocol()
        protocol = str(replace(how, task=TASK, version="1", items=items_digest(self.names)))
        interval = wilson_interval(hits, n)
        return Row(
            model, TASK, method, "mean", judge, metric, hits / n, hits, n, *interval, 0, protocol
        )


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--concepts", nargs="+", default=[*CONCEPTS], choices=CONCEPTS)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="pictures of each case")


def erasure_of(pipe: Any, concept: str, options: Namespace) -> Erasure:
    settings = Trace()
    owner = ("objects", concept)
    return erasure_for(pipe, owner, key_of(settings), settings, 0, folder_of(options))


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    judges: list[Any] = shipped_classifiers(options.device)
    counts: dict[tuple[str, str, str], Count] = defaultdict(Count)
    for concept in options.concepts:
        erasure = erasure_of(pipe, concept, options)
        surrogate = erasure.record.concepts[0].surrogate
        assert surrogate is not None  # an erasure names it
        asked = {case: pictures_of(case, concept, surrogate, options.seeds) for case in CASES}
        for method in (BASE, METHOD):
            attached: Any = nullcontext() if method == BASE else erasure.attach(pipe)
            with attached:
                for case, pictures in asked.items():
                    images = draw(pipe, pictures)
                    for judge in judges:
                        counts[method, judge.id, case].add(pictures, images, judge)
    rows = [
        count.row(options.model, method, judge, case)
        for (method, judge, case), count in counts.items()
    ]
    write_rows(TASK, options.model, rows, options.out)
    for r in rows:
        print(f"{r.method:8} {r.judge:28} {r.metric:18} {r.numerator}/{r.n}")
