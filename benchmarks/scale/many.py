"""Stage 1 of one to a thousand concepts at the shapes of SD 1.5, with random weights.

    python -m benchmarks scale-many [--counts 1 10 100 1000] [--captions N]

For each count, in a process of its own: ``trace``, all concepts in one solve by the calls that
``erase`` makes once words are chosen; ``uce``, the published least squares on one column a concept,
on the same concepts; and ``copy``, one copy of all the maps that either edits, which nothing that
changes them can do without. The second moment and the maps' Gram matrix, which depend on the model
alone, are on disk before. Text encoders are shallow, so passes through them are counted apart.

Rows: a task a count; ``cpu_seconds`` and ``seconds`` without encoding, ``encoding`` CPU seconds,
``added_mib`` beyond the loaded model, and for ``trace`` ``times_uce`` and ``times_copy``, ratios of
CPU seconds. Rows of other counts stay.
"""

from __future__ import annotations

import re
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.core.meter import in_new_process, metered
from benchmarks.core.rows import replace_rows
from benchmarks.scale.closed_form import NEAR
from benchmarks.scale.encoding import encoding_timed
from benchmarks.scale.shapes import RANDOM, SIZES, build
from trace_erasure.baselines.base import BaselineContext
from trace_erasure.baselines.registry import METHODS
from trace_erasure.concepts.captions import photo_captions
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.concepts.templates import TEMPLATES
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import Row
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.pipeline.map_root import map_root
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.request import ResolvedRequest, with_mode

FAMILY = "sd15"
TRACE, UCE, COPY = METHODS_MEASURED = ("trace", "uce", "copy")
SURROGATES = NEAR


def names(count: int) -> list[str]:
    """The commonest words of captions that are no surrogate."""
    words = Counter(re.findall(r"[a-z]{4,}", " ".join(photo_captions()).lower()))
    return [word for word, _ in words.most_common() if word not in NEAR][:count]


def case(count: int, method: str, captions: int) -> dict[str, float]:
    """One method on so many concepts, in this process."""
    denoiser = Denoiser(build(SIZES[FAMILY]))
    texts = photo_captions()[:captions]
    sigma = second_moment(denoiser, texts)
    map_root(denoiser, TOKENS, len(sigma))
    concepts = tuple(
        ResolvedConcept(word, surrogate=SURROGATES[i % len(SURROGATES)])
        for i, word in enumerate(names(count))
    )
    retain = tuple(fill_template(TEMPLATES["object"][2], word) for word in NEAR)
    spec = EraseConfig(concepts)
    settings = with_mode(ClosedFormConfig(), spec, denoiser)
    request = ResolvedRequest(spec, concepts, retain, texts)
    context = BaselineContext(denoiser, request, texts, 0, None)
    todo: dict[str, Callable[[], Any]] = {
        TRACE: lambda: closed_form_edit(denoiser, concepts, retain, settings, texts),
        UCE: lambda: METHODS["uce"].solve(context),  # type: ignore[attr-defined]
        COPY: lambda: [w.clone() for w in denoiser.weights(TOKENS, len(sigma)).values()],
    }
    with encoding_timed() as encoding, metered() as cost:
        used, started = time.process_time(), time.perf_counter()
        todo[method]()
        cpu, seconds = time.process_time() - used, time.perf_counter() - started
    return {
        "cpu_seconds": cpu - encoding["cpu_seconds"],
        "seconds": seconds - encoding["seconds"],
        "encoding": encoding["cpu_seconds"],
        "added_mib": cost.get("added_mib", float("nan")),
    }


def rows_of(count: int, captions: int) -> list[Row]:
    """All methods on so many concepts."""
    with tempfile.TemporaryDirectory() as cache:
        found = {
            method: in_new_process(case, count, method, captions, XDG_CACHE_HOME=cache)
            for method in METHODS_MEASURED
        }
    for other in (UCE, COPY):
        ratio = found[TRACE]["cpu_seconds"] / found[other]["cpu_seconds"]
        found[TRACE][f"times_{other}"] = ratio
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=count, seed=0, concept="all")
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM)
    fields |= dict(protocol=f"threads={torch.get_num_threads()} captions={captions}")
    return [
        Row(task=f"{FAMILY}, {count}", method=method, metric=metric, value=value, **fields)
        for method, values in found.items()
        for metric, value in values.items()
    ]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--counts", nargs="+", type=int, default=[1, 10, 100, 1000])
    parser.add_argument("--captions", type=int, default=50)


def run(options: Namespace) -> None:
    for count in options.counts:
        found = rows_of(count, options.captions)
        kept = f"{FAMILY}, {count}"
        replace_rows("scale-many", RANDOM, found, lambda row, of=kept: row.task != of, options.out)
        for r in found:
            print(f"{r.task:12} {r.method:6} {r.metric:12} {r.value:10.3f}", flush=True)
