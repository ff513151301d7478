"""Rows of a comparison: every figure of a task, and the few that are tracked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.core.models import BASE, BLANK
from trace_erasure.evaluation import SEVERAL_SEEDS, Row, Verdict, summarise
from trace_erasure.evaluation.metrics.clustered import (
    SHARES,
    SIDES,
    clustered_rows,
    paired_by_concept,
    replaced,
)
from trace_erasure.evaluation.metrics.paired import paired
from trace_erasure.evaluation.tasks.task import GENERAL


def figures(verdicts: Sequence[Verdict], reference: str = "trace") -> list[Row]:
    """Every figure of one task by training seed, with the tests against the method ``reference``
    where it is there."""
    trace = [v for v in verdicts if v.method == reference]
    others = [v for v in verdicts if v.method not in (reference, BASE, BLANK)]
    rows = replaced(
        summarised(verdicts), clustered_rows(verdicts, [v for v in verdicts if v.method == BASE])
    )
    if trace:
        rows += replaced(paired(others, trace), paired_by_concept(others, trace))
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
    means = {"acc_e", "acc_g", "acc_s", "h_o", *SHARES, *(f"acc_{group}" for group in GENERAL)}
    means |= {f"paired_{part}{side}" for part in ("", "p_", "q_") for side in SIDES}
    means |= {f"effect_{side}" for side in SIDES}
    return [
        replace(row, value=round(row.value, 4), low=round(row.low, 4), high=round(row.high, 4))
        for row in rows
        if not math.isnan(row.value)
        and (
            (row.concept == "mean" and row.metric in (means if row.judge == first else {"h_o"}))
            or (row.concept == "worst" and row.metric == "h_o" and row.judge == first)
        )
    ]
