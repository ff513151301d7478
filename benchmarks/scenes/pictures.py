"""Pictures of scenes at equal seeds: the original's, and those of each method.

    python -m benchmarks scenes-pictures --model emoji-scenes       # docs/images/scenes.png

A line of pictures for each method, three columns a concept: the scene that stage 2 was told of. The
erasures are those that ``scenes`` has left under ``--work``, or new ones.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.core.erasures import erasure_for, key_of
from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.scenes.gate import TESTED
from benchmarks.scenes.methods import METHODS, TRACE, methods_for
from trace_erasure.demo.contact_sheet import picture_rows
from trace_erasure.evaluation import load_task
from trace_erasure.pipeline.generate import generate
from trace_erasure.world.scenes import load_scenes

FILE = Path("docs/images/scenes.png")
CONCEPTS = TESTED[:4]
EACH = 3
FIRST_SEED = 900


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", default=["fast", TRACE], choices=METHODS)
    parser.add_argument("--concepts", nargs="+", default=list(CONCEPTS), choices=TESTED)
    parser.add_argument("--picture", type=Path, default=FILE, help=f"PNG file (default: {FILE})")


def drawn(pipe: Any, concept: str) -> list[Image.Image]:
    """Pictures of the scene that implies ``concept``."""
    sampling = load_task("implied").sampling
    return generate(
        pipe,
        [load_scenes().implying(concept)[0].phrase] * EACH,
        [FIRST_SEED + i for i in range(EACH)],
        steps=sampling.steps,
        guidance_scale=sampling.guidance_scale,
        autocast=True,
    )


def run(options: Namespace) -> None:
    pipe, work = load_model(options.model, options.device), folder_of(options)
    lines: list[tuple[str, list[Image.Image]]] = []
    for method in (BASE, *options.methods):
        line: list[Image.Image] = []
        for concept in options.concepts:
            attached: Any = nullcontext()
            if method != BASE:
                task = load_task("implied").subset([concept])
                settings = methods_for(task, [method], {})[method]
                owner = (task.name, concept)
                made = erasure_for(pipe, owner, key_of(settings), settings, 0, work)
                attached = made.attach(pipe)
            with attached:
                line += drawn(pipe, concept)
        lines.append((method, line))
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    picture_rows(lines).save(options.picture)
    print(f"wrote {options.picture}")
