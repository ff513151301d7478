"""TRACE beside the methods that it is compared with, on test concepts.

    make bench-compare                            # sweep, compare, ablation; two processes
    python -m benchmarks compare                  # resumes when killed
    python -m benchmarks compare --methods trace uce --tasks objects --concepts fox \\
        --per-group 4 --published

Settings are those that `sweep` has chosen, unless ``--published``. Every figure is over all of
``SEEDS``; every method is tested against TRACE picture by picture; ``STRENGTHS`` are tried on
``CURVES``. Rows (means and the worst H_o) go to <out>/<model>/compare-<task>.jsonl, cost to
compare-cost.jsonl, and a page with all figures, plots and pictures to <work>/<model>/report.
``comparison/README.md`` has the protocol and what it takes.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.comparison.cost import cost_rows, cost_table, costs, good_runs, spent
from benchmarks.comparison.figures import figures, summarised, tracked
from benchmarks.comparison.methods import COMPARED, usable
from benchmarks.comparison.report import table_of, write_page
from benchmarks.comparison.settings import SETTINGS, selected
from benchmarks.comparison.units import Unit, tested, units_of, verdicts_of
from benchmarks.core.erasures import KINDS
from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from benchmarks.erasure.units import STRENGTHS
from trace_erasure.baselines.base import Method
from trace_erasure.evaluation import Row, RunFolder, Task, Verdict, over_seeds, to_markdown

SEEDS = (0, 1, 2)
CONCEPTS: dict[str, Sequence[str] | None] = {
    "objects": ("fox", "car"),
    "styles": ("neon", "ink"),
    "identities": ("Mira Solberg",),
    "hazard": None,
}
CURVES = {"objects": "fox", "styles": "neon", "identities": "Mira Solberg"}
"""Task to the concept that is also measured at every strength."""
PER_GROUP_CURVES = 6


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--methods", nargs="+", default=[*COMPARED], choices=[*COMPARED])
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, default=12, help="pictures a group")
    parser.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS])
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="file of sweep's choices")
    parser.add_argument("--published", action="store_true", help="settings as published instead")


def tasks_of(options: Namespace) -> tuple[list[Task], list[Task]]:
    """The tasks, and those of the curves by strength."""
    tasks = [
        tested("compare", name, options.concepts or CONCEPTS[name], options.per_group)
        for name in options.tasks
    ]
    curves = [
        tested("strength", name, [CURVES[name]], min(options.per_group, PER_GROUP_CURVES))
        for name in options.tasks
        if name in CURVES and not options.concepts
    ]
    return tasks, curves


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    names = usable(pipe, options.methods)
    methods: Mapping[str, Method] = (
        {name: COMPARED[name] for name in names}
        if options.published
        else selected(options.settings, options.model, names)
    )
    tasks, curves = tasks_of(options)
    units = [unit for task in tasks for unit in units_of(task, methods, options.seeds)]
    for task in curves:
        units += units_of(task, methods, options.seeds[:1], (BASE,), STRENGTHS)
    found = verdicts_of("compare", options, pipe, units)
    if found is None:
        return
    of_task: dict[str, list[Verdict]] = {task.name: [] for task in (*tasks, *curves)}
    for unit, part in zip(units, found, strict=True):
        of_task[unit.task.name] += part
    measured = {task.name: of_task[task.name] for task in tasks}
    strengths = [row for task in curves for row in summarised(of_task[task.name])]
    write(options, units, measured, strengths)


def write(
    options: Namespace,
    units: Sequence[Unit],
    measured: Mapping[str, Sequence[Verdict]],
    strengths: Sequence[Row],
) -> None:
    """Rows and tables of every task and of the cost, and the page."""
    model, singles, pooled = options.model, [], {}
    for name, verdicts in measured.items():
        rows = figures(verdicts)
        singles += rows
        pooled[name] = over_seeds(rows) if len(options.seeds) > 1 else rows
        write_rows(name, model, tracked(pooled[name]), options.out)
        print(to_markdown(table_of(pooled[name], f"{model}: {name}")))
    work = RunFolder(folder_of(options))
    keys = {(u.method, *u.erased, u.seed): u.key for u in units if u.settings is not None}
    methods = list(dict.fromkeys(method for method, *_ in keys))
    entries = costs(spent(work.folder, keys), good_runs(singles, singles[0].judge), methods)
    how = f"seeds={len(options.seeds)} device={options.device}"
    write_rows("compare-cost", model, cost_rows(entries, model, how), options.out)
    cost = cost_table(entries, f"{model}: cost")
    print(to_markdown(cost))
    for file in write_page(work, model, pooled, strengths, measured, cost):
        print(file)
