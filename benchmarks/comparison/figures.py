"""Rows of a comparison: every figure of a task, and the few that are tracked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.core.models import BASE, BLANK
from trace_erasure.evaluation import SEVERAL_SEEDS, Row, Verdict, summarise
from trace_erasure.evaluation.metrics.paired import paired


def figures(verdicts: Sequence[Verdict]) -> list[Row]:
    """Every figure of one task by training seed, with the tests against TRACE where it is there."""
    trace = [v for v in verdicts if v.method == "trace"]
    others = [v for v in verdicts if v.method not in ("trace", BASE, BLANK)]
    rows = [*summarised(verdicts), *(paired(others, trace) if trace else ())]
    several = len({v.seed for v in verdicts}) > 1
    # Controls are drawn once and stand for every seed.
    return [
        replace(row, seed=SEVERAL_SEEDS) if several and row.method in (BASE, BLANK) else row
        for row in rows
    ]


def summarised(verdicts: Sequence[Verdict]) -> list[Row]:
    return summarise(verdicts, [v for v in verdicts if v.method == BASE])


def tracked(rows: Sequence[Row]) -> list[Row]:
    """The rows that are tracked: what tables show, in few digits; the page has all of them.

    The second judge gives its H_o alone.
    """
    first = rows[0].judge
    means = {"acc_e", "acc_g", "acc_s", "h_o"}
    means |= {f"paired_{part}{side}" for part in ("", "p_") for side in ("erased", "kept")}
    return [
        replace(row, value=round(row.value, 4), low=round(row.low, 4), high=round(row.high, 4))
        for row in rows
        if (row.concept == "mean" and row.metric in (means if row.judge == first else {"h_o"}))
        or (row.concept == "worst" and row.metric == "h_o" and row.judge == first)
    ]
