"""An erasure at other strengths than 1, and the curves that come of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.report.html import Plot
from trace_erasure.evaluation.report.plots import Series, line_plot
from trace_erasure.evaluation.runs.controls import CONTROLS
from trace_erasure.evaluation.runs.records import Row

WITH_STRENGTH = re.compile(r"(?P<method>.+) × (?P<strength>\d+(\.\d+)?)")
CURVE_METRICS = ("acc_e", "acc_g", "acc_s", "h_o")


@dataclass(frozen=True)
class ScaledErasure:
    """An erasure that ``evaluate`` attaches with another strength than 1."""

    erasure: Erasure
    strength: float

    @property
    def name(self) -> str:
        return method_at_strength(self.erasure.name, self.strength)

    def attach(self, pipe: Any) -> AbstractContextManager[Any]:
        return self.erasure.attach(pipe, self.strength)


def method_at_strength(method: str, strength: float) -> str:
    """The method's name at a strength: ``trace``, ``trace × 0.5``."""
    return method if strength == 1 else f"{method} × {strength:g}"


def parse_strength(method: str) -> tuple[str, float]:
    """The inverse of ``method_at_strength``: the plain method and the strength."""
    found = WITH_STRENGTH.fullmatch(method)
    return (found["method"], float(found["strength"])) if found else (method, 1.0)


def strength_curves(rows: Sequence[Row], judge: str) -> list[Plot]:
    """Means over concepts against strength, one plot for each task and method that has several.

    Strength 0 is the original model, where it was evaluated.
    """
    by = _by_strength(rows, judge)
    plots = []
    for (task, method), points in by.items():
        if len(points) < 2:
            continue
        if (task, "base") in by:
            points[0.0] = by[task, "base"][1.0]
        order = sorted(points)
        drawn = [
            _series(metric, order, [points[s].get(metric) for s in order])
            for metric in CURVE_METRICS
            if any(metric in found for found in points.values())
        ]
        svg = line_plot(
            drawn,
            title=f"{method} on {task} against strength",
            x_label="strength",
            y_label="per cent",
            y_range=(0, 100),
        )
        note = f"Means over the concepts of `{task}`, 95 % intervals. Judge: {judge}."
        plots.append(Plot(f"{task}: {method} by strength", svg, note))
    return plots


def pareto_plots(rows: Sequence[Row], judge: str) -> list[Plot]:
    """Erasure against retention, a line through every method's strengths, one plot a task.

    The best corner is at the top right; every line begins at the original model, where that was
    evaluated. Methods keep the order of ``rows``.
    """
    by = _by_strength(rows, judge)
    plots = []
    for task in dict.fromkeys(task for task, _ in by):
        methods = [method for name, method in by if name == task and method not in CONTROLS]
        drawn, bases = [], by.get((task, "base"), {})
        for method in methods:
            points = by[task, method]
            order = sorted(points)
            found = [*bases.values(), *(points[s] for s in order)]
            both = [f for f in found if {"acc_all", "acc_s"} <= f.keys()]
            kept = [100 * f["acc_s"].value for f in both]
            gone = [100 * (1 - f["acc_all"].value) for f in both]
            drawn.append(Series(method, gone, kept))
        if not drawn:
            continue
        svg = line_plot(
            drawn,
            title=f"erasure against retention on {task}",
            x_label="Acc_s: everything else is still seen, per cent",
            y_label="erased: not recognised, all tested wordings pooled, per cent",
            x_range=(0, 100),
            y_range=(0, 100),
        )
        strengths = dict.fromkeys(s for method in methods for s in sorted(by[task, method]))
        note = f"Strengths {', '.join(f'{s:g}' for s in strengths)}. Judge: {judge}."
        plots.append(Plot(f"{task}: erasure against retention", svg, note))
    return plots


def _by_strength(
    rows: Sequence[Row], judge: str
) -> dict[tuple[str, str], dict[float, dict[str, Row]]]:
    """(task, method) to strength to metric to the mean over concepts."""
    by: dict[tuple[str, str], dict[float, dict[str, Row]]] = {}
    for row in rows:
        if row.concept == "mean" and row.judge == judge:
            method, strength = parse_strength(row.method)
            by.setdefault((row.task, method), {}).setdefault(strength, {})[row.metric] = row
    return by


def _series(metric: str, x: Sequence[float], rows: Sequence[Row | None]) -> Series:
    of = lambda name: [100 * getattr(row, name) if row else math.nan for row in rows]  # noqa: E731
    return Series(METRICS[metric].title, of("value"), x, of("low"), of("high"))
