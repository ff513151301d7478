"""The page of a comparison: tables, cost, strengths, and pictures with one row a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trace_erasure.evaluation import (
    CONTROLS,
    Grid,
    Report,
    Row,
    RunFolder,
    Table,
    Text,
    Verdict,
    manifest,
    method_grid,
    pareto_plots,
    rows_table,
)
from trace_erasure.evaluation.report.build import interval_section, label
from trace_erasure.evaluation.report.pictures import SENSITIVE

COLUMNS = (
    "h_o",
    "acc_e",
    "acc_g",
    "acc_s",
    "acc_s_relative",
    "paired_erased",
    "paired_p_erased",
    "paired_kept",
    "paired_p_kept",
)
READING = """H_o sums a method up; read its three parts first. The differences are picture by
picture, at equal prompts and seeds, to TRACE's; p is McNemar's exact test on the pictures where
the two differ. It takes pictures for independent, which those of one prompt are not quite. Over
several trainings figures are averaged, intervals reach from the lowest end to the highest, and p
is twice the median, which holds however the trainings depend on each other."""


def table_of(rows: Sequence[Row], title: str) -> Table:
    """Mean and worst concept of every method."""
    over = [row for row in rows if row.concept in ("mean", "worst")]
    return rows_table([replace(row, method=label(row.method)) for row in over], title, COLUMNS)


def write_page(
    work: RunFolder,
    model: str,
    rows: Mapping[str, Sequence[Row]],
    strengths: Sequence[Row],
    verdicts: Mapping[str, Sequence[Verdict]],
    cost: Table,
) -> list[Path]:
    """Writes <work>/report; ``rows`` and ``verdicts`` by task. Returns the files."""
    first = next(iter(verdicts.values()))
    judge = first[0].judge
    sections: list[Any] = [Text(READING, "How to read this")]
    for task, mine in rows.items():
        sections += [interval_section(task, mine, "h_o"), table_of(mine, f"{task}: all methods")]
    sections += [cost, *pareto_plots(strengths, judge)]
    if strengths:
        means = [row for row in strengths if row.concept == "mean" and row.judge == judge]
        metrics = ["h_o", "acc_all", "acc_s"]
        sections.append(replace(rows_table(means, "Every strength", metrics), folded=True))
    for task, mine in verdicts.items():
        sections += grids(task, mine, work, judge)
    everything = [verdict for mine in verdicts.values() for verdict in mine]
    methods = dict.fromkeys(verdict.method for verdict in everything)
    pictures = len({verdict.image for verdict in everything})
    made = manifest(
        model=model,
        methods=list(methods),
        protocols={f"{v.task}, {v.concept}": v.protocol for v in everything},
        **{f"run {i}": note for i, note in enumerate(work.notes(), 1)},
    )
    title = f"TRACE beside other methods, on {model}"
    subtitle = f"{len(methods)} methods and controls, {pictures} pictures."
    every = tuple(row for mine in (*rows.values(), strengths) for row in mine)
    return Report(title, subtitle, every, tuple(sections), made).write(work.folder / "report")


def grids(task: str, verdicts: Sequence[Verdict], work: RunFolder, judge: str) -> Iterator[Grid]:
    """The task's first concept and training seed."""
    first = next(v for v in verdicts if v.method not in CONTROLS)
    runs: dict[str, list[Verdict]] = {}
    for v in verdicts:
        if v.method == "base" or (v.method not in CONTROLS and v.seed == first.seed):
            runs.setdefault(CONTROLS.get(v.method, v.method), []).append(v)
    title = f"{task}: {first.concept}, one row a method"
    grid = method_grid(runs, work.images, judge=judge, concept=first.concept, title=title)
    yield replace(grid, sensitive=bool(SENSITIVE.search(task)), folded=True)
