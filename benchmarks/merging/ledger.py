"""Requests that come one by one: twelve, with a takedown build after each, then one is withdrawn.

    python -m benchmarks ledger

Rows go to <out>/<model>/ledger.jsonl. The method is the number of requests, or ``11, withdrawn``.
Those of the concepts that were asked for so far are called ``asked``, those of the ones still to
come ``others``. Rows without a judge are seconds: of the whole build, and of a merge alone.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.core.models import BASE
from benchmarks.core.rows import SHOWN, under_one_protocol, write_rows
from benchmarks.merging.bench import (
    Bench,
    artifacts_folder,
    cost_rows,
    merging_options,
    merging_task,
    spec_of,
)
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation import Row, Verdict, summarise, to_markdown
from trace_erasure.takedown.bases import ModelName
from trace_erasure.takedown.builder import Built, build
from trace_erasure.takedown.changes import NewRequest, add, withdraw
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.settings import Settings

REQUESTS = 12
GOES = 6
"""The request that is withdrawn at the end."""

add_options = merging_options


def run(options: Namespace) -> None:
    spec = spec_of(options, REQUESTS)
    bench = Bench.of(options, artifacts_folder(options))
    task = merging_task(options, spec, "ledger")
    names = [concept.phrase for concept in spec.concepts]
    # Seconds are those of this run, so that it starts without what an earlier one made.
    stamp = time.strftime("%Y%m%d-%H%M%S")
    settings = Settings(finetune=options.finetune, seed=spec.seed)
    ledger = Ledger.create(bench.work / f"ledger-{stamp}.db", settings)
    base = bench.verdicts(task, BASE)
    rows: list[Row] = []

    def measure(method: str, asked: set[str]) -> None:
        built, seconds = _timed(bench.pipe, ledger, options.model)
        file = ledger.files / built.base.folder / str(built.build.file)
        verdicts = bench.verdicts(task, method, Erasure.load(file))
        rows.extend(rows_by_request(verdicts, base, asked))
        file.unlink()  # so that the merge, and nothing else, is done again
        _, merging = _timed(bench.pipe, ledger, options.model)
        figures = {"seconds_build": seconds, "seconds_merge": merging}
        rows.extend(cost_rows(rows[-1], len(asked), figures))

    for count, concept in enumerate(spec.concepts, 1):
        add(ledger, [NewRequest((concept,))])
        measure(str(count), set(names[:count]))
    withdraw(ledger, [GOES])
    measure(f"{REQUESTS - 1}, withdrawn", set(names) - {names[GOES - 1]})
    write_rows(task.name, options.model, rows, options.out)
    print(to_markdown([one for one in rows if one.judge != "none"], title=task.name))


def _timed(pipe: Any, ledger: Ledger, model: str) -> tuple[Built, float]:
    started = time.perf_counter()
    built = build(ledger, pipe, ModelName(model))
    return built, time.perf_counter() - started


def rows_by_request(
    verdicts: Sequence[Verdict], base: Sequence[Verdict], asked: set[str]
) -> list[Row]:
    """Means over the concepts that were asked for, and over the others, under one protocol."""
    rows: list[Row] = []
    for name, chosen in (
        ("asked", [v for v in verdicts if v.concept in asked]),
        ("others", [v for v in verdicts if v.concept not in asked]),
    ):
        if chosen:
            rows += [
                replace(row, concept=name)
                for row in summarise(chosen, base)
                if row.concept == "mean" and row.metric in SHOWN
            ]
    return under_one_protocol(rows, verdicts)
