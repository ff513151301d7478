"""Rows over several methods under attack: the best baseline, the ratio to it, the margin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks.attacks.methods import BASELINES, HARDENED
from benchmarks.core.correlation import rank_correlation
from trace_erasure.attacks.results import NAN, rate_row, rounded
from trace_erasure.evaluation import Row

KEPT = 0.95
"""Least retention, as a share of the original model's, of a baseline that counts as the best."""
BEST = "best baseline"


def margin_row(points: Sequence[tuple[float, float]], like: Row) -> Row:
    """Does the recovery margin predict robustness? Rank correlation over concepts and levels."""
    margins, rates = zip(*points, strict=True)
    value = rounded(rank_correlation(margins, rates))
    return replace(like, method="all", metric="margin_spearman", value=value, n=len(points))


def best_row(rows: Sequence[Row], retention: Mapping[str, float]) -> Row | None:
    """The success of the baseline that withstands best among those that keep the rest, ``KEPT``.

    None where no baseline that does was measured.
    """
    eligible = [
        row
        for row in rows
        if (row.metric, row.concept) == ("success", "mean")
        and row.method in BASELINES
        and retention.get(row.method, 0.0) >= KEPT
    ]
    return replace(min(eligible, key=lambda row: row.value), method=BEST) if eligible else None


def ratio_rows(rows: Sequence[Row], best: Row) -> list[Row]:
    """Hardened TRACE's success over the best baseline's; the bar is a half at most.

    The ratio is ``nan`` where the best baseline withstands everything: nothing can be halved.
    """
    return [
        replace(
            row, metric="ratio", value=rounded(row.value / best.value) if best.value else NAN,
            numerator=None, low=NAN, high=NAN,
        )
        for row in rows
        if row.method in HARDENED and (row.metric, row.concept) == ("success", "mean")
    ]  # fmt: skip


def together(
    parts: Sequence[Sequence[Row]], retention: Mapping[str, float], like: Row
) -> list[Row]:
    """Success over all cases of several attacks, ``parts``, for the methods that met all of them;
    the best baseline among these, and the bar."""
    found = [
        {row.method: row for row in rows if (row.metric, row.concept) == ("success", "mean")}
        for rows in parts
    ]
    everywhere = [name for name in found[0] if all(name in part for part in found)]
    rows = []
    for name in everywhere:
        if name == BEST or " / " in name:  # of several methods
            continue
        own = [part[name] for part in found]
        hits, n = sum(row.numerator or 0 for row in own), sum(row.n for row in own)
        rows.append(rate_row(replace(like, method=name), "success", hits, n))
    best = best_row(rows, retention)
    return rows if best is None else [*rows, best, *ratio_rows(rows, best)]


def strongest(
    success: Mapping[str, Sequence[float]], retention: Mapping[str, float], count: int
) -> list[str]:
    """The ``count`` baselines that withstood best on average, those that keep the rest first."""

    def order(name: str) -> tuple[bool, float]:
        values = success[name]
        return retention.get(name, 0.0) < KEPT, sum(values) / len(values)

    measured = [name for name, values in success.items() if name in BASELINES and values]
    return sorted(measured, key=order)[:count]


def retention_rows(rows: Iterable[Row]) -> list[Row]:
    """The figures of ``summarise`` for everything else that a model draws."""
    return [
        replace(row, task="attack/retention", value=rounded(row.value), low=rounded(row.low),
                high=rounded(row.high))
        for row in rows
        if row.metric in ("acc_s", "acc_s_relative") and row.concept in ("mean", "worst")
    ]  # fmt: skip
