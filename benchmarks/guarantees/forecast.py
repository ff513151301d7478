"""Does the forecast come true? Predicted collateral against what paired pictures show.

    python -m benchmarks forecast                       # resumes when killed
    python -m benchmarks forecast --model emoji-flux
    python -m benchmarks forecast --concepts fox apple house --images 2

For each erased object, every other object of the world is forecast (before any picture) and then
drawn with and without the erasure from the same noise. Rows go to
<out>/<model>/forecast.jsonl: task ``forecast``; metric ``spearman`` (network figure
against the mean paired distance), ``spearman_text`` (text figure alone), ``spearman_judge``
(network figure against the judge's lost probability) and ``worst_found`` (of the five worst-hit
names, those among the first ten forecast).
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import bootstrap

from benchmarks.core.correlation import rank_correlation
from benchmarks.core.models import load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from benchmarks.core.sharing import shared_out
from benchmarks.guarantees.units import Unit
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.storage import SUFFIX
from trace_erasure.concepts.candidates import PROBE_TEMPLATES
from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.config import EraseConfig
from trace_erasure.config_file import slug
from trace_erasure.evaluation import Row, shipped_classifiers
from trace_erasure.evaluation.judges.base import probabilities
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.guarantees.forecast import name_forecasts
from trace_erasure.math.statistics import bootstrap_interval
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.utils.atomic import atomic
from trace_erasure.world import load_world

FIRST_SEED = 100
FIRST, WORST = 10, 5


def pictures(pipe: Any, names: Sequence[str], options: Namespace) -> dict[str, list[Image.Image]]:
    """``options.images`` pictures of each name; the same list is drawn for every concept."""
    texts = [
        fill_template(PROBE_TEMPLATES["object"], name)
        for name in names
        for _ in range(options.images)
    ]
    seeds = [FIRST_SEED + i for _ in names for i in range(options.images)]
    found = generate(
        pipe, texts, seeds, steps=options.steps, guidance_scale=shipped.GUIDANCE, autocast=True,
        store=ImageStore(folder_of(options) / "images"),
    )  # fmt: skip
    return {name: found[i * options.images :][: options.images] for i, name in enumerate(names)}


def distance(first: Image.Image, second: Image.Image) -> float:
    """Root mean square difference of two pictures, 0 to 1."""
    a, b = (np.asarray(image.convert("RGB"), np.float64) / 255 for image in (first, second))
    return float(np.sqrt(np.square(a - b).mean()))


def measure(
    pipe: Any, name: str, judge: Any, options: Namespace, draw: bool = True
) -> list[dict[str, Any]] | None:
    """Forecast and measurement of every other object, kept from run to run.

    ``draw=False`` only looks for them; None where they are missing.
    """
    folder = folder_of(options) / "forecast"
    spec = EraseConfig((Concept(name),))
    made = erase_each(pipe, spec, folder)[0] if draw else folder / (slug(name) + SUFFIX)
    if not made.exists():
        return None
    erasure = Erasure.load(made)
    file = folder / f"{name}-{erasure.name}-{options.images}-{options.steps}.json"
    if file.exists():
        return json.loads(file.read_text("utf-8"))
    if not draw:
        return None
    concept = erasure.record.concepts[0]
    names = [thing.name for thing in load_world().objects]
    rows = name_forecasts(pipe, erasure.delta, concept, names, shipped.GUIDANCE)
    before = pictures(pipe, names, options)
    with erasure.attach(pipe):
        after = pictures(pipe, names, options)
    found = []
    for row in rows:
        a, b = before[row.name], after[row.name]
        where = judge.labels.index(f"subject/{row.name}")
        seen = [probabilities(judge.classify(x), judge.labels)[:, where].mean() for x in (a, b)]
        found.append(
            {
                **asdict(row),
                "distance": float(np.mean([distance(*pair) for pair in zip(a, b, strict=True)])),
                "lost": float(seen[0] - seen[1]),
            }
        )
    with atomic(file) as partial:
        partial.write_text(json.dumps(found, indent=1), "utf-8")
    return found


def rows_of(name: str, found: list[dict[str, Any]], judge: Any, options: Namespace) -> list[Row]:
    protocol = JudgingProtocol(
        "forecast", "1", f"{len(found)}:{options.images}", "own", str(options.steps),
        str(shipped.GUIDANCE), "native", "bfloat16",
    )  # fmt: skip
    n, nan = len(found), float("nan")
    blank = Row(
        options.model,
        "forecast",
        "trace",
        name,
        "pixels",
        "",
        nan,
        None,
        n,
        nan,
        nan,
        0,
        str(protocol),
    )
    column = {key: [row[key] for row in found] for key in found[0]}
    rows = []
    for metric, predicted, measured in (
        ("spearman", "network", "distance"),
        ("spearman_text", "text", "distance"),
        ("spearman_judge", "network", "lost"),
    ):
        pair = (column[predicted], column[measured])
        ends = bootstrap(
            pair, rank_correlation, paired=True, vectorized=False, n_resamples=1000,
            method="percentile", rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        by = judge.id if measured == "lost" else "pixels"
        figure = dict(value=rank_correlation(*pair), low=float(ends.low), high=float(ends.high))
        rows.append(replace(blank, metric=metric, judge=by, **figure))
    first = {row["name"] for row in sorted(found, key=lambda row: -row["network"])[:FIRST]}
    worst = [row["name"] for row in sorted(found, key=lambda row: -row["distance"])[:WORST]]
    hits = sum(other in first for other in worst)
    counted = dict(value=hits / WORST, numerator=hits, n=WORST)
    rows.append(replace(blank, metric="worst_found", **counted))
    return rows


def add_options(parser: ArgumentParser) -> None:
    targets = [thing.name for thing in load_world().targets]
    parser.add_argument("--concepts", nargs="+", default=targets)
    parser.add_argument("--images", type=int, default=4, help="pairs of pictures a name")
    parser.add_argument("--steps", type=int, default=12, help="of the sampler, as in the tasks")


def mean_rows(rows: Sequence[Row]) -> Iterator[Row]:
    """Every metric over the concepts, which are resampled whole for its interval."""
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [row for row in rows if row.metric == metric]
        values = torch.tensor([row.value for row in own], dtype=torch.float64)
        low, high = bootstrap_interval(values, [row.concept for row in own])
        mean = dict(value=float(values.mean()), numerator=None, n=len(values), low=low, high=high)
        yield replace(own[0], concept="mean", **mean)


def run(options: Namespace) -> None:
    pipe, judge = load_model(options.model, options.device), shipped_classifiers(options.device)[0]
    found = shared_out(
        [*map(Unit, options.concepts)],
        options.shard,
        lambda unit, draw: measure(pipe, unit.concept, judge, options, draw),
    )
    if found is None:
        return
    rows: list[Row] = []
    for name, part in zip(options.concepts, found, strict=True):
        rows += rows_of(name, part, judge, options)
    rows += mean_rows(rows)
    write_rows("forecast", options.model, rows, options.out)
    for row in rows:
        print(
            f"{row.concept:12} {row.metric:16} {row.value:.3f}  ({row.low:.2f} to {row.high:.2f})"
        )
