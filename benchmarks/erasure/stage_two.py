"""Stage 2 of TRACE by itself, the closed form off, on the ten objects.

    python -m benchmarks stage-2 --model emoji-sd       # after `erasure`; shares its controls

Rows go to <out>/<model>/stage-2-objects.jsonl, task ``stage-2-objects``. A training takes about a
minute on a core, and as long again to draw and to judge.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace

from benchmarks.core.commit import commit
from benchmarks.core.rows import by_concept
from benchmarks.erasure.tasks import task_of, write
from benchmarks.erasure.units import Bench, units_of

TASK, METHOD, PREFIX = "objects", "stage 2 only", "stage-2-"
PER_GROUP = 20


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--concepts", nargs="+", help="only these objects")
    parser.add_argument("--per-group", type=int, default=PER_GROUP)
    parser.add_argument("--seed", type=int, default=0)


def run(options: Namespace) -> None:
    task = task_of(TASK, options.concepts, options.per_group)
    bench = Bench.of(options)
    bench.work.note(benchmark="stage-2", commit=commit())
    units = [*units_of([replace(task, name=PREFIX + TASK)], [METHOD], PREFIX)]
    found = bench.by_task(units, options)
    if found is not None:
        write(found, options.model, options.out, by_concept)
