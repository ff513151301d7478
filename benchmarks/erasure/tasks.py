"""TRACE on the tasks of the embedded world: the first figures of the README come from here.

    python -m benchmarks erasure                    # everything; resumes when killed
    python -m benchmarks erasure --small            # the subset SMALL below, with a report
    python -m benchmarks erasure --tasks objects --methods trace --concepts fox cat
    python -m benchmarks erasure --shard 0/2 &      # two processes on one --work folder
    python -m benchmarks erasure --shard 1/2

Rows are written to <out>/<model>/<task>.jsonl, a page to <work>/<model>/report.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.core.commit import commit
from benchmarks.core.erasures import KINDS, concepts_of
from benchmarks.core.models import BASE
from benchmarks.core.options import folder_of
from benchmarks.core.rows import RESULTS, by_concept, write_rows
from benchmarks.erasure.units import BORROWED, DRIFT, METHODS, Bench, units_of
from trace_erasure.evaluation import (
    Row,
    RunFolder,
    Task,
    Verdict,
    load_task,
    summarise,
    task_remarks,
    to_markdown,
)
from trace_erasure.evaluation.report.build import build_report

TASKS = (*KINDS, *BORROWED)
SMALL: dict[str, tuple[tuple[str, ...] | None, int]] = {
    "objects": (("fox", "car"), 12),
    "styles": (("neon",), 12),
    "identities": (("Mira Solberg",), 12),
    "hazard": (None, 20),
    "retention": (None, 150),
    "strength": (None, 8),
}
"""``--small``: concepts and the most pictures a group of each task."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*TASKS], choices=TASKS)
    methods = [DRIFT, *METHODS]
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[DRIFT, "trace"],
        choices=methods,
        help="default: drift trace",
    )
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, help="at most so many pictures a group")
    parser.add_argument("--small", action="store_true", help=f"only {SMALL}; rows stay in --work")
    parser.add_argument("--seed", type=int, default=0)


def task_of(name: str, concepts: Sequence[str] | None, per_group: int | None) -> Task:
    """A task of the world, or a part of it; ``strength`` is the first concept of ``objects``."""
    task = load_task("objects" if name == "strength" else name)
    if name == "strength":
        task = replace(task.subset(["fox"]), name="strength")
    if name == "retention":  # what is erased on purpose is not lost
        erased = concepts_of(*BORROWED[name])
        kept = [
            item for item in task.items if not any(c.is_mentioned_in(item.prompt) for c in erased)
        ]
        task = replace(task, items=tuple(kept))
    return task.subset(None if name in BORROWED else concepts, per_group)


def write(
    found: Mapping[str, list[Verdict]], model: str, out: Path, short: Callable[..., list[Row]]
) -> None:
    """Rows of every task, as many as ``short`` leaves, and its table on stdout."""
    for name, verdicts in found.items():
        rows = summarise(verdicts, [v for v in verdicts if v.method == BASE])
        write_rows(name, model, short(rows), out)
        over = [row for row in rows if row.concept in ("mean", "worst")]
        print(to_markdown(over, title=name))


def write_page(
    tasks: Sequence[Task], found: Mapping[str, list[Verdict]], work: RunFolder, model: str
) -> None:
    """The report of all tasks."""
    everything = [verdict for verdicts in found.values() for verdict in verdicts]
    remarks = {task.name: task_remarks(task) for task in tasks}
    title = f"TRACE on {model}"
    page = build_report(everything, work.images, title=title, runs=work.notes(), tasks=remarks)
    for file in page.write(work.folder / "report"):
        print(file)


def run(options: Namespace) -> None:
    chosen = {
        name: SMALL[name] if options.small else (options.concepts, options.per_group)
        for name in options.tasks
    }
    tasks = [task_of(name, *portion) for name, portion in chosen.items()]
    out = folder_of(options) if options.small and options.out == RESULTS else options.out
    bench = Bench.of(options)
    bench.work.note(benchmark="erasure", small=options.small, commit=commit())
    found = bench.by_task([*units_of(tasks, options.methods)], options)
    if found is not None:
        write(found, options.model, out, by_concept)
        write_page(tasks, found, bench.work, options.model)
