"""An erasure at other strengths than 1, and the curves that come of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from trace_erasure.erasure import Erasure
from trace_erasure.evaluate.metrics import METRICS
from trace_erasure.evaluate.plots import Series, line_plot
from trace_erasure.evaluate.report import Plot
from trace_erasure.evaluate.rows import Row

NAMED = re.compile(r"(?P<method>.+) × (?P<strength>\d+(\.\d+)?)")
CURVES = ("acc_e", "acc_g", "acc_s", "h_o")


@dataclass(frozen=True)
class AtStrength:
    """An erasure that ``evaluate`` attaches with another strength than 1."""

    erasure: Erasure
    strength: float

    @property
    def name(self) -> str:
        return at_strength(self.erasure.name, self.strength)

    def attach(self, pipe: Any) -> AbstractContextManager[Any]:
        return self.erasure.attach(pipe, self.strength)


def at_strength(method: str, strength: float) -> str:
    """The method's name at a strength: ``trace``, ``trace × 0.5``."""
    return method if strength == 1 else f"{method} × {strength:g}"


def parse_strength(method: str) -> tuple[str, float]:
    """The inverse of ``at_strength``: the plain method and the strength."""
    found = NAMED.fullmatch(method)
    return (found["method"], float(found["strength"])) if found else (method, 1.0)


def curves(rows: Sequence[Row], judge: str) -> list[Plot]:
    """Means over concepts against strength, one plot for each task and method that has several.

    Strength 0 is the original model, where it was evaluated.
    """
    means = [row for row in rows if row.concept == "mean" and row.judge == judge]
    by: dict[tuple[str, str], dict[float, dict[str, Row]]] = {}
    for row in means:
        method, strength = parse_strength(row.method)
        by.setdefault((row.task, method), {}).setdefault(strength, {})[row.metric] = row
    plots = []
    for (task, method), points in by.items():
        if len(points) < 2:
            continue
        if (task, "base") in by:
            points[0.0] = by[task, "base"][1.0]
        order = sorted(points)
        drawn = [
            _series(metric, order, [points[s].get(metric) for s in order])
            for metric in CURVES
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


def _series(metric: str, x: Sequence[float], rows: Sequence[Row | None]) -> Series:
    of = lambda name: [100 * getattr(row, name) if row else math.nan for row in rows]  # noqa: E731
    return Series(METRICS[metric].title, of("value"), x, of("low"), of("high"))
