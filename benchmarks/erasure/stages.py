"""What either stage of TRACE, both, and each objective of the finetune buy, on ``STAGES``.

    python -m benchmarks stages                     # after or before `erasure`; shares its erasures

Rows go to <out>/<model>/stages-<task>.jsonl, task ``stages-<task>``.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace

from benchmarks.core.commit import commit
from benchmarks.core.rows import over_concepts
from benchmarks.erasure import units
from benchmarks.erasure.tasks import task_of, write
from benchmarks.erasure.units import Bench, units_of

STAGES = {
    "objects": (("fox", "car"), 100),
    "styles": (("neon", "ink"), 100),
    "identities": (("Mira Solberg", "Tobias Okafor"), 100),
}
"""Concepts, and the most pictures a group, of each task."""
PREFIX = "stages-"


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*STAGES], choices=[*STAGES])
    parser.add_argument("--methods", nargs="+", default=[*units.STAGES], choices=[*units.STAGES])
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, help="at most so many pictures a group")
    parser.add_argument("--seed", type=int, default=0)


def run(options: Namespace) -> None:
    tasks = []
    for name in options.tasks:
        concepts, most = STAGES[name]
        task = task_of(name, options.concepts or concepts, options.per_group or most)
        tasks.append(replace(task, name=PREFIX + name))
    bench = Bench.of(options)
    bench.work.note(benchmark="stages", commit=commit())
    found = bench.by_task([*units_of(tasks, options.methods, PREFIX)], options)
    if found is not None:
        write(found, options.model, options.out, over_concepts)
