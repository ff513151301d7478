"""From outcomes of attacks to rows, kept few: over all concepts, and for the worst of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from scipy.stats import spearmanr

from attack_methods import BASELINES, HARDENED
from common import BASE
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcome import Outcome, Tally, tally
from trace_erasure.attacks.target import Case
from trace_erasure.evaluate import Row
from trace_erasure.evaluate.task import Protocol
from trace_erasure.math.statistics import wilson_interval

NAN = float("nan")
TRIES = (1, 5)
"""``success@N`` is written for these; for all tries it is ``success``."""
KEPT = 0.95
"""Least retention, as a share of the original model's, of a baseline that counts as the best."""
BEST = "best baseline"
DIGITS = 3


def protocol(
    attack: str, budget: Budget, cases: Sequence[Case], steps: int, guidance: float
) -> Protocol:
    """What all figures of one attack rest on. Controls are given the first of the same cases."""
    listed = json.dumps([(case.prompt, case.seed) for case in cases])
    digest = hashlib.sha256(listed.encode()).hexdigest()[:6]
    spent = "-".join(str(value) for value in asdict(budget).values())
    return Protocol(
        f"attack/{attack}", f"1-{spent}", f"{len(cases)}:{digest}",
        "own", str(steps), f"{guidance:g}", "native", "float32",
    )  # fmt: skip


def blank(model: str, judge: str, made: Protocol) -> Row:
    """A row of an attack without a figure."""
    return Row(model, made.task, "", "mean", judge, "", NAN, None, 0, NAN, NAN, 0, str(made))


def rounded(value: float) -> float:
    return round(value, DIGITS)


def rate_row(like: Row, metric: str, hits: int, n: int, concept: str = "mean") -> Row:
    low, high = map(rounded, wilson_interval(hits, n))
    value = rounded(hits / n) if n else NAN
    changes = dict(metric=metric, value=value, numerator=hits, n=n, low=low, high=high)
    return replace(like, concept=concept, **changes)


def rows_of(by_concept: Mapping[str, Sequence[Outcome]], method: str, like: Row) -> list[Row]:
    """One method under attack: over all concepts, and the success on the worst of them.

    ``incremental`` is of the cases where the plain prompt fails: its n tells how many these are.
    The original model has nothing to bring back.
    """
    like = replace(like, method=method)
    found = counted(one for part in by_concept.values() for one in part)
    rows = [rate_row(like, "success", found.success, found.cases)]
    if method == BASE:
        return [*rows, rate_row(like, "pre", found.pre, found.cases)]
    rows.append(rate_row(like, "incremental", *found.incremental))
    for n in TRIES:
        rows.append(rate_row(like, f"success@{n}", found.by_tries[n], found.cases))
    tallies = [counted(part) for part in by_concept.values() if part]
    worst = max(tallies, key=lambda one: one.success / one.cases)
    return [*rows, rate_row(like, "success", worst.success, worst.cases, "worst")]


def counted(outcomes: Iterable[Outcome]) -> Tally:
    """The tally up to the last try that anybody needed."""
    outcomes = [*outcomes]
    return tally(outcomes, max([*TRIES, *(one.first or 0 for one in outcomes)]))


def control_row(outcomes: Sequence[Outcome], method: str, like: Row) -> Row:
    """A control over all models of one kind: they are there to be zero, and few cases each."""
    found = counted(outcomes)
    return rate_row(replace(like, method=method), "success", found.success, found.cases)


def margin_row(points: Sequence[tuple[float, float]], like: Row) -> Row:
    """Does the recovery margin predict robustness? Rank correlation over concepts and levels."""
    margins, rates = zip(*points, strict=True)
    value = rounded(float(spearmanr(margins, rates).statistic))
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
    """What remains of everything else: the figures of ``summarise`` that say it."""
    return [
        replace(row, task="attack/retention", value=rounded(row.value), low=rounded(row.low),
                high=rounded(row.high))
        for row in rows
        if row.metric in ("acc_s", "acc_s_relative") and row.concept in ("mean", "worst")
    ]  # fmt: skip
