"""Chooses the settings of every method on development concepts.

    python -m benchmarks sweep                    # before `compare`; resumes when killed
    python -m benchmarks sweep --shard 0/2 &      # two processes on one --work folder
    python -m benchmarks sweep --shard 1/2

Every method tries at least as many settings as TRACE, ``grid.BUDGET``, its published ones first,
on the same concepts, wordings and pictures. One setting is chosen for all kinds of concept
together, by H_o under the first judge, averaged over the kinds; the second judge takes no part in
the choice. ``--settings`` keeps what was chosen and all that was tried.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.comparison.grid import GRID
from benchmarks.comparison.methods import COMPARED, configured, usable
from benchmarks.comparison.settings import SETTINGS, record
from benchmarks.comparison.units import development, units_of, verdicts_of
from benchmarks.core.models import load_model
from trace_erasure.evaluation import Row, Verdict, summarise

PER_GROUP = 8


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--methods", nargs="+", default=[*COMPARED], choices=[*COMPARED])
    parser.add_argument("--concepts", nargs="+", help="only these development concepts")
    parser.add_argument("--per-group", type=int, default=PER_GROUP, help="pictures a group")
    parser.add_argument("--candidates", type=int, help="settings a method, of those of the grid")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="file of the choices")


def score(rows: Sequence[Row], judge: str) -> dict[str, float]:
    """Mean H_o, Acc_e, Acc_g and Acc_s over the tasks under one judge."""
    means = [row for row in rows if row.concept == "mean" and row.judge == judge]
    return {
        metric: round(fmean(row.value for row in means if row.metric == metric), 4)
        for metric in ("h_o", "acc_e", "acc_g", "acc_s")
    }


def by_task(rows: Sequence[Row], judge: str) -> dict[str, float]:
    """Mean H_o of every task under one judge."""
    return {
        row.task: round(row.value, 4)
        for row in rows
        if (row.concept, row.metric, row.judge) == ("mean", "h_o", judge)
    }


def choice(
    name: str, settings: Sequence[Mapping[str, Any]], verdicts: Sequence[Sequence[Verdict]]
) -> dict[str, Any]:
    """The best of ``settings`` by the verdicts of each, and the figures of all."""
    entries = []
    for overrides, mine in zip(settings, verdicts, strict=True):
        rows, judge = summarise(mine), mine[0].judge
        figures = score(rows, judge)
        entries.append(
            {"settings": dict(overrides), **figures, "h_o_by_task": by_task(rows, judge)}
        )
        print(f"{name:14} {figures} {dict(overrides)}", flush=True)
    best = max(entries, key=lambda entry: entry["h_o"])
    return {"selected": best["settings"], "tried": entries}


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    tasks = development(options.per_group, options.concepts)
    tried: dict[str, list[Mapping[str, Any]]] = {
        name: list(GRID[name][: options.candidates]) for name in usable(pipe, options.methods)
    }
    units, owners = [], []
    for name, settings in tried.items():
        for i, overrides in enumerate(settings):
            method = {name: configured(name, overrides)}
            own = [unit for task in tasks for unit in units_of(task, method, controls=())]
            units += own
            owners += [(name, i)] * len(own)
    found = verdicts_of("sweep", options, pipe, units)
    if found is None:
        return
    of: dict[tuple[str, int], list[Verdict]] = {owner: [] for owner in owners}
    for owner, part in zip(owners, found, strict=True):
        of[owner] += part
    for name, settings in tried.items():
        chosen = choice(name, settings, [of[name, i] for i in range(len(settings))])
        record(options.settings, options.model, name, chosen, tasks)
