"""Many concepts of mixed kinds erased at once: how far the method carries, and what it costs.

    python -m benchmarks many                                # 1, 5, 10, 25 and 50; resumes
    python -m benchmarks many --model emoji-flux
    python -m benchmarks many --sizes 5 25 --finetune --images 10
    python -m benchmarks many --shard 0/2 &                  # two processes share the artifacts
    python -m benchmarks many --shard 1/2                    # and the last goes on alone

Concepts are erased one by one, an artifact each, and merged; a longer list uses the artifacts of
a shorter one. Controls: the plain sum of the artifacts, ridge only, MACE's fusion of the same
artifacts, and UCE for all at once with its published settings. Rows, for the mean and the worst
concept, are written to <out>/<model>/many-<n>.jsonl.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.core.meter import metered
from benchmarks.core.models import BASE, BLANK
from benchmarks.core.rows import write_rows
from benchmarks.merging.bench import (
    Bench,
    artifacts_folder,
    cost_rows,
    figures_of,
    merging_options,
    merging_task,
    spec_of,
)
from benchmarks.merging.controls import ALONE, METHODS
from benchmarks.merging.parts import Parts, shared_parts
from benchmarks.merging.prompts import MOST
from trace_erasure.artifact.record import MergedRecord
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Row, Task, to_markdown

SIZES = (1, 5, 10, 25, 50)


def add_options(parser: ArgumentParser) -> None:
    merging_options(parser)
    sizes = range(1, MOST + 1)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, choices=sizes, metavar="N")
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])


def measure(bench: Bench, task: Task, parts: Parts, methods: Sequence[str]) -> Iterator[Row]:
    """Rows of the controls and of all methods at one size."""
    base = bench.verdicts(task, BASE)
    yield from figures_of(base, base)
    yield from figures_of(bench.verdicts(task, BLANK), base)
    artifacts, size = parts.load(), len(parts.files)
    for method in methods:
        try:
            with metered() as spent:
                erasure = METHODS[method](bench.pipe, artifacts)
        except InputError as error:
            print(f"{method} is left out: {error}")
            continue
        measured = figures_of(bench.verdicts(task, method, erasure), base)
        yield from measured
        file = erasure.save(bench.work / f"{task.name}-{method.replace(' ', '-')}")
        figures = {
            "seconds": spent["seconds"] + (0 if method in ALONE else parts.seconds),
            "seconds_merge": spent["seconds"],
            "added_mib_merge": spent.get("added_mib", math.nan),
            "artifact_kb": sum(one.stat().st_size for one in parts.files) / 1000 / size,
            "merged_kb": file.stat().st_size / 1000,
        }
        yield from cost_rows(measured[0], size, figures)
        if isinstance(erasure.record, MergedRecord):
            merged = erasure.record.merged.model_dump(mode="json")
            kept = {"size": size, "method": method, **in_short(merged)}
            with (bench.work / "capacity.jsonl").open("a") as log:
                log.write(json.dumps(kept) + "\n")


def in_short(merged: dict[str, Any]) -> dict[str, Any]:
    """What was decided in a merge, without the figures of every concept."""
    streams = merged["capacity"].items()
    names = ("mode", "directions", "needed", "collateral", "most")
    return {
        "cross_talk": merged["cross_talk"],
        **{name: {key: found[key] for key in names} for name, found in streams},
    }


def run(options: Namespace) -> None:
    everything = spec_of(options, max(options.sizes))
    bench = Bench.of(options, artifacts_folder(options))
    parts = shared_parts(bench.pipe, everything, bench.work, options.shard)
    if parts is None:
        return
    for size in options.sizes:
        task = merging_task(options, replace(everything, concepts=everything.concepts[:size]))
        rows = list(measure(bench, task, parts.first(size), options.methods))
        write_rows(task.name, options.model, rows, options.out)
        print(to_markdown([row for row in rows if row.judge != "none"], title=task.name))
