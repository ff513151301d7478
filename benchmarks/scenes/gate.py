"""Whether both stages with the late window beat stage 1 where no word names the concept.

    python -m benchmarks scenes --model emoji-scenes       # resumes when killed
    python -m benchmarks scenes --model emoji-scenes --tasks implied --concepts knife \\
        --methods fast trace --per-group 8
    python -m benchmarks scenes --model emoji-scenes --development   # for choosing settings

Rows go to <out>/<model>/scenes-<task>.jsonl: every figure's mean and worst, the share of the
original's rate (``implied_of_base``, ``unseen_of_base``, ``scene_of_base``, ``acc_s_relative``) and
McNemar's test of every method against TRACE, picture by picture.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from benchmarks.comparison.figures import figures
from benchmarks.comparison.units import portion, units_of, verdicts_of
from benchmarks.core.models import BASE, load_model
from benchmarks.core.rows import write_rows
from benchmarks.scenes.methods import METHODS, methods_for
from trace_erasure.evaluation import Row, Task, load_task, rows_table, to_markdown

TASKS = ("implied", "mark", "scenes-hazard")
DEVELOPMENT = ("tulip", "guitar", "swords", "bow")
"""Concepts of ``implied`` that settings are chosen on; figures leave them out."""
TESTED = ("knife", "dagger", "sailboat", "pig", "apple", "balloon", "rocket", "umbrella")
METRICS = (
    "acc_e",
    "acc_synonym",
    "acc_implied",
    "acc_unseen",
    "acc_scene",
    "acc_s",
    "implied_of_base",
    "unseen_of_base",
    "scene_of_base",
    "acc_s_relative",
    "h_o",
    "paired_erased",
    "paired_kept",
    "paired_p_erased",
    "paired_p_kept",
)


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*TASKS], choices=TASKS)
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=METHODS)
    parser.add_argument("--concepts", nargs="+", help="of the task `implied`")
    parser.add_argument("--development", action="store_true", help=f"concepts: {DEVELOPMENT}")
    parser.add_argument("--per-group", type=int, help="at most so many pictures a group")
    parser.add_argument("--finetune", type=json.loads, default={}, help="settings, as JSON")


def tasks_of(options: Namespace) -> list[Task]:
    """The tasks, with the concepts that are asked for."""
    found = []
    for name in options.tasks:
        task = load_task(name)
        if name == "implied":
            default = DEVELOPMENT if options.development else TESTED
            task = task.subset(options.concepts or default)
        found.append(portion(task, options.per_group))
    return found


def shown(rows: list[Row]) -> list[Row]:
    """The figures that are kept: means, and of every concept what no word names."""
    return [
        row
        for row in rows
        if row.metric in METRICS and (row.concept == "mean" or row.metric.endswith("_of_base"))
    ]


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    tasks = tasks_of(options)
    units = []
    for task in tasks:
        for concept in task.concepts:
            one = task.subset([concept])
            units += units_of(
                one, methods_for(one, options.methods, options.finetune), (0,), (BASE,)
            )
    found = verdicts_of("scenes", options, pipe, units)
    if found is None:
        return
    for task in tasks:
        verdicts = [
            v
            for u, part in zip(units, found, strict=True)
            for v in part
            if u.task.name == task.name
        ]
        rows = shown(figures(verdicts))
        write_rows(f"scenes-{task.name}", options.model, rows, options.out)
        means = [row for row in rows if row.concept == "mean"]
        print(to_markdown(rows_table(means, f"{options.model}: {task.name}", METRICS)))
