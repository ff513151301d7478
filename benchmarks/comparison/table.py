"""TRACE beside the methods that it is compared with, on test concepts.

    make bench-compare                            # sweep, compare, ablation; two processes
    python -m benchmarks compare                  # resumes when killed
    python -m benchmarks compare --methods trace uce --tasks objects --concepts fox \\
        --per-group 4 --published

Settings are those that `sweep` has chosen, unless ``--published``. Intervals are clustered by
concept and prompt; every method is tested against TRACE picture by picture and over concepts;
``STRENGTHS`` are tried on ``CURVES``. Rows (means and the worst H_o) go to
<out>/<model>/compare-<task>.jsonl, those of category words to category-<task>.jsonl, cost to
compare-cost.jsonl, and a page with all figures, plots and pictures to <work>/<model>/report.
``comparison/README.md`` has the protocol and what it takes.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from benchmarks.comparison.cost import cost_rows, cost_table, costs, good_runs, spent
from benchmarks.comparison.figures import figures, summarised, tracked
from benchmarks.comparison.methods import COMPARED, usable
from benchmarks.comparison.report import table_of, write_page
from benchmarks.comparison.settings import SETTINGS, selected
from benchmarks.comparison.units import (
    CROSSED,
    HELD_OUT,
    Unit,
    tested,
    units_of,
    verdicts_of,
)
from benchmarks.core.erasures import KINDS
from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from benchmarks.erasure.units import STRENGTHS
from trace_erasure.baselines.base import Method
from trace_erasure.evaluation import Row, RunFolder, Task, Verdict, over_seeds, to_markdown

SEEDS = (0,)
"""Of trainings. Closed forms have one erasure whatever the seed, and trainings lose repetitions
before concepts or pictures: the concept is what figures generalise over."""
CONCEPTS: dict[str, Sequence[str] | None] = {
    "objects": ("cat", "dog", "rabbit", "car", "sailboat", "house"),
    "styles": None,
    "identities": (
        "Mira Solberg",
        "Tobias Okafor",
        "Ingrid Valdez",
        "Rufus Lindqvist",
        "Amara Dube",
        "Kenji Morita",
    ),
    "hazard": None,
}
"""The tested concepts, six of each kind; None is all of a task's. Hardening was designed on the
fox, and settings of the closed form with a look at foods: neither is here."""
CATEGORY = ("objects", "identities")
"""Kinds whose category word has a task of its own; that of weapons is a group of ``hazard``."""
CURVES = {"objects": "cat", "styles": "neon", "identities": "Mira Solberg"}
"""Task to the concept that is also measured at every strength."""
PER_GROUP_CURVES = 6
PER_GROUP, NAMED = 24, 48


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--methods", nargs="+", default=[*COMPARED], choices=[*COMPARED])
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, default=PER_GROUP, help="pictures a group")
    parser.add_argument("--named", type=int, default=NAMED, help="pictures that name the concept")
    parser.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS])
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="file of sweep's choices")
    parser.add_argument("--published", action="store_true", help="settings as published instead")


def tasks_of(options: Namespace) -> tuple[list[Task], list[Task]]:
    """The tasks, and those of the curves by strength."""
    tasks = [
        tested(prefix, name, options.concepts or CONCEPTS[name], options.per_group, options.named)
        for name in options.tasks
        for prefix in ("compare", *(("category",) if name in CATEGORY else ()))
    ]
    curves = [
        tested("strength", name, [CURVES[name]], min(options.per_group, PER_GROUP_CURVES))
        for name in options.tasks
        if name in CURVES and not options.concepts
    ]
    return tasks, curves


Settings = Mapping[str | None, Mapping[str, Method]]
"""The methods with the settings for a concept; None is any without a key of its own."""


def methods_of(options: Namespace, names: Sequence[str], tasks: Collection[str]) -> Settings:
    """The methods with the chosen settings, and for development concepts of ``CROSSED`` tasks with
    those chosen without them."""
    if options.published:
        return {None: {name: COMPARED[name] for name in names}}
    found: dict[str | None, Mapping[str, Method]] = {
        None: selected(options.settings, options.model, names)
    }
    for name in CROSSED:
        if f"compare-{name}" in tasks:
            found[HELD_OUT[name]] = selected(
                options.settings, options.model, names, without=f"dev-{name}"
            )
    return found


def units_for(
    tasks: Sequence[Task], curves: Sequence[Task], methods: Settings, seeds: Sequence[int]
) -> list[Unit]:
    """All the work of a comparison."""
    units: list[Unit] = []
    for task in tasks:
        units += units_of(task, {})
        for concept in task.concepts:
            own = methods.get(concept, methods[None])
            units += units_of(task.subset([concept]), own, seeds, ())
    for task in curves:
        units += units_of(task, methods[None], seeds[:1], (BASE,), STRENGTHS)
    return units


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    names = usable(pipe, options.methods)
    tasks, curves = tasks_of(options)
    methods = methods_of(options, names, {task.name for task in tasks})
    units = units_for(tasks, curves, methods, options.seeds)
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
        if name.startswith("compare-"):  # a task of category words alone has no Acc_e
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
    whole = {name: v for name, v in measured.items() if name.startswith("compare-")}
    of_page = {name: pooled[name] for name in whole}
    for file in write_page(work, model, of_page, strengths, whole, cost):
        print(file)
