"""How many captions the second moment needs: what is erased, what is kept, and seconds.

    python -m benchmarks second-moment --model emoji-sd
    python -m benchmarks second-moment --model emoji-flux

Words are chosen once, from all captions; then Σ is taken of ``COUNTS`` captions, each list within
the next. ``APART`` captions are in none of them: on these ``collateral`` is measured, the expected
relative squared change of the maps' output. ``residual`` is that of wordings which no solve sees,
and ``seconds`` are of a CPU core, for Σ alone. ``named`` and ``kept`` are shares of pictures in
which a judge still sees the concept, in wordings that no solve sees, and something else. The
concepts are those on which settings are chosen. Rows go to <out>/<model>/second-moment.jsonl, a
task for each count.
"""

from __future__ import annotations

import os
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks.core.models import load_model
from benchmarks.core.rows import write_rows
from benchmarks.scenes.methods import mean_row
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import Item, detector_for, load_task, shipped_classifiers
from trace_erasure.evaluation.tasks.task import items_digest
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.generate import generate
from trace_erasure.trace.closed_form import ClosedFormEdit, closed_form_edit
from trace_erasure.trace.request import resolve
from trace_erasure.utils.words import indefinite_article

COUNTS = (25, 50, 100, 200, 400, 800, 1600, 2400)
APART = 600
CONCEPTS = ("panda", "tulip")
OTHERS = ("koala", "sunflower", "castle", "robot", "bee", "umbrella")
FRAMES = ("this is a drawing of {x}", "{x}, a picture", "watercolor style, {x}", "{x} and a crown")
ADAPTER, METHOD, NO_JUDGE = "second_moment", "trace", "none"
PICTURES = 12


def shuffled(captions: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Captions for Σ, and those that are kept apart."""
    mixed = Random(0).sample(captions, len(captions))
    return mixed[APART:], mixed[:APART]


def collateral(denoiser: Denoiser, edit: ClosedFormEdit, apart: list[str]) -> float:
    """Expected relative squared change of all maps' output on ``apart``; the worst stream's."""
    worst = 0.0
    for stream in edit.edits:
        sigma = second_moment(denoiser, apart, stream)
        changed = whole = 0.0
        for path, weight in denoiser.weights(stream, len(sigma)).items():
            down = edit.delta[path].down.double()[:, : len(sigma)]
            up = edit.delta[path].up.double()
            changed += float(((up.mT @ up) * (down @ sigma @ down.mT)).sum())
            whole += float(((weight.double() @ sigma) * weight.double()).sum())
        worst = max(worst, changed / whole)
    return worst


def items_of(concept: str, count: int) -> dict[str, list[Item]]:
    """``named`` and ``kept`` to their pictures."""

    def item(i: int, frame: str, thing: str) -> Item:
        prompt = frame.format(x=f"{indefinite_article(thing)} {thing}")
        return Item(prompt, 7000 + i, "template", concept, (f"subject/{thing}",))

    own = [item(i, FRAMES[i % len(FRAMES)], concept) for i in range(count)]
    return {
        "named": own,
        "kept": [item(i, "a picture of {x}", OTHERS[i % len(OTHERS)]) for i in range(count)],
    }


def seen(pipe: Any, items: list[Item], judges: list[Any]) -> dict[str, float]:
    """Judge to the share of ``items`` in which it sees what they expect."""
    how = load_task("objects").sampling
    images = generate(
        pipe,
        [item.prompt for item in items],
        [item.seed for item in items],
        steps=how.steps,
        guidance_scale=how.guidance_scale,
        autocast=True,
    )
    pairs = list(zip(items, images, strict=True))
    return {
        judge.id: sum(detector_for(judge, item)([image])[0] for item, image in pairs) / len(pairs)
        for judge in judges
    }


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--counts", type=int, nargs="+", default=[*COUNTS])
    parser.add_argument("--concepts", nargs="+", default=[*CONCEPTS], choices=CONCEPTS)
    parser.add_argument("--pictures", type=int, default=PICTURES, help="of each share; 0 for none")


def run(options: Namespace) -> None:
    with (
        tempfile.TemporaryDirectory() as cache,
        patch.dict(os.environ, XDG_CACHE_HOME=cache),
    ):
        _run(options)


def _run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    judges: list[Any] = shipped_classifiers(options.device) if options.pictures else []
    denoiser = Denoiser(pipe)
    streams = [stream.name for stream in denoiser.family.streams]
    captions, apart = shuffled(captions_for(denoiser))
    specs = [
        EraseConfig((Concept(name, kind="object"),), ClosedFormConfig())
        for name in options.concepts
    ]
    plans = [resolve(denoiser, spec) for spec in specs]
    found: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for count in options.counts:
        texts = captions[:count]
        started = time.process_time()
        for stream in streams:
            second_moment(denoiser, texts, stream)
        found[count, NO_JUDGE, "seconds"].append(time.process_time() - started)
        for name, plan in zip(options.concepts, plans, strict=True):
            settings = plan.spec.closed_form or ClosedFormConfig()
            edit = closed_form_edit(denoiser, plan.concepts, plan.retain, settings, texts)
            figures = edit.certificate
            found[count, NO_JUDGE, "residual"].append(figures.residual_held_out)
            found[count, NO_JUDGE, "collateral"].append(collateral(denoiser, edit, apart))
            if not judges:
                continue
            with adapters.frozen(denoiser, ADAPTER):
                adapters.attach(denoiser, edit.delta, ADAPTER)
                for metric, items in items_of(name, options.pictures).items():
                    for judge, share in seen(pipe, items, judges).items():
                        found[count, judge, metric].append(share)
        print(count, {key[1:]: values for key, values in found.items() if key[0] == count})
    how = load_task("objects").protocol()
    asked = [items_of(name, options.pictures).values() for name in options.concepts]
    every = [item.id for lists in asked for items in lists for item in items]
    protocol = str(replace(how, task="second-moment", items=items_digest(every)))
    rows = [
        mean_row((options.model, f"second-moment/{count}", METHOD), judge, metric, values, protocol)
        for (count, judge, metric), values in found.items()
    ]
    write_rows("second-moment", options.model, rows, options.out)
