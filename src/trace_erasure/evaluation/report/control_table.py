"""Whether the controls score below the methods, and whether that could be chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.report.tables import Number, Table, number
from trace_erasure.evaluation.runs.controls import CONTROLS
from trace_erasure.evaluation.runs.records import Row
from trace_erasure.evaluation.runs.strength import parse_strength

OVERALL = ("h_o", "h_c", "acc_s")
"""The figure that sums a task up: the first of these that it has."""
FEW = 6
"""Below this number of concepts a bootstrap over them cannot reach 95 %: 2^(1 - n) > 0.05."""


def overall_metric(rows: Sequence[Row]) -> str | None:
    """The metric that sums these rows up."""
    known = {row.metric for row in rows if not math.isnan(row.value)}
    return next((metric for metric in OVERALL if metric in known), None)


def controls_table(rows: Sequence[Row], tasks: Sequence[str]) -> Table:
    """Whether every control stays below every method, by task and judge."""
    lines: list[tuple[str | Number, ...]] = []
    for task in tasks:
        means = [row for row in rows if row.task == task and row.concept == "mean"]
        metric = overall_metric(means)
        if metric is None:
            continue
        for judge in dict.fromkeys(row.judge for row in means if row.metric == metric):
            own = [r for r in rows if r.task == task and r.judge == judge and r.metric == metric]
            found = {r.method: cautious(r, own) for r in own if r.concept == "mean"}
            methods = {m: r for m, r in found.items() if m not in CONTROLS}
            plain = {m: r for m, r in methods.items() if parse_strength(m)[1] == 1} or methods
            lowest = min(plain.values(), key=lambda row: row.value, default=None)
            cells = [number(found[name]) if name in found else Number("—") for name in CONTROLS]
            lines.append(
                (
                    task,
                    judge.split("@")[0],
                    METRICS[metric].title,
                    *cells,
                    number(lowest) if lowest else Number("—"),
                    _control_verdict(found, lowest, metric),
                )
            )
    return Table(
        "What the controls say",
        ("task", "judge", "overall", *CONTROLS.values(), "lowest method", "verdict"),
        tuple(lines),
        "A task means something if a model that draws nothing scores below every method, and the "
        "original model does so wherever something was to be erased. Random drift has the size of "
        "the method's change in every layer, in random directions: what it reaches, size alone "
        "reaches. Told apart: the 95 % intervals do not overlap; of few concepts they reach over "
        "those of each concept. Means over concepts, per cent. — was not evaluated.",
    )


def cautious(mean: Row, rows: Sequence[Row]) -> Row:
    """``mean`` with an interval that also holds for few concepts.

    The mean of the concepts' own ends is a conservative interval of the mean: it holds however
    many concepts there are, and of a single picture it is nearly everything.
    """
    own = [r for r in rows if r.method == mean.method and r.concept not in ("mean", "worst")]
    if len(own) >= FEW or not own:
        return mean
    low, high = fmean(r.low for r in own), fmean(r.high for r in own)
    if math.isnan(low) or math.isnan(high):
        return replace(mean, low=math.nan, high=math.nan)
    return replace(mean, low=min(mean.low, low), high=max(mean.high, high))


def _control_verdict(found: Mapping[str, Row], lowest: Row | None, metric: str) -> str:
    missing = [CONTROLS[name] for name in CONTROLS if name not in found]
    if missing:
        return f"not evaluated: {', '.join(missing)}"
    # Where nothing is erased, the original model is the ceiling and drift may well keep it all.
    must = ("blank",) if metric == "acc_s" else tuple(CONTROLS)
    if lowest is None:
        return "no method"
    above = [CONTROLS[name] for name in must if not found[name].value < lowest.value]
    if above:
        return f"✗ not below: {', '.join(above)}"
    overlapping = [CONTROLS[name] for name in must if not found[name].high < lowest.low]
    if overlapping:
        return f"? too few pictures to tell apart: {', '.join(overlapping)}"
    return "✓ told apart"
