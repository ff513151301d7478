"""Means over concepts with intervals by concept and prompt, and tests whose unit is the concept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trace_erasure.evaluation.metrics.per_concept import RATE_METRICS
from trace_erasure.evaluation.metrics.summary import row
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.tasks.task import GENERAL, KEPT, JudgingProtocol, items_digest
from trace_erasure.math import clustered, statistics

SHARES = {
    "acc_e_relative": ("target",),
    "acc_g_relative": GENERAL,
    "acc_s_relative": ("retain",),
    **{f"{group}_of_base": (group,) for group in (*GENERAL, "scene")},
}
"""Shares of the original model's rate on the same pictures, and the groups that they count."""
SIDES = {"erased": False, "kept": True}

Of = Callable[[Verdict], object]


def clustered_rows(verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> list[Row]:
    """Rates and ``SHARES`` over all concepts of each run, as rows of the concept ``mean``.

    A share is the mean rate over the original model's mean rate, and not a mean of shares: a
    concept that the original does not show at all spoils no figure. It is ``nan`` where the
    original shows it nowhere. Intervals are clustered by concept and prompt.

    Args:
        verdicts: of any number of runs, by judges that classify.
        base: the original model's on the same items.
    """
    original = {_picture(v): v for v in base}
    rows: list[Row] = []
    for run in _runs(verdicts):
        like = _like(run)
        for metric, groups, _ in RATE_METRICS:
            if mine := _ordered(run, groups):
                rows.append(_rate_row(like, metric, mine))
        for metric, groups in SHARES.items():
            mine = [v for v in _ordered(run, groups) if _picture(v) in original]
            if mine:
                before = [original[_picture(v)] for v in mine]
                rows.append(_share_row(like, metric, mine, before))
    return rows


def paired_by_concept(verdicts: Sequence[Verdict], reference: Sequence[Verdict]) -> list[Row]:
    """Every run against ``reference``'s same pictures, with the concept as the unit.

    ``paired_erased`` and ``paired_kept`` are mean differences, with intervals clustered by concept
    and prompt; ``paired_q_erased`` and ``paired_q_kept`` are the exact sign-flip test's p over
    concepts; ``effect_erased`` and ``effect_kept`` are Cohen's h of the two rates, positive where
    the run shows more. The numerator is the number of concepts in which the two differ.

    A reference of one training stands for all trainings of the others.
    """
    known = {_picture(v): v for v in reference}
    rows = []
    for run in _runs(verdicts):
        like = _like(run)
        for side, kept in SIDES.items():
            mine = _ordered(run, KEPT if kept else ("target", *GENERAL))
            if not mine:
                continue
            other = [known[_picture(v)] for v in mine]
            both = torch.stack([_seen(mine), _seen(other)])
            own, theirs = clustered.concept_means(both, [v.concept for v in mine])
            k, nan = len(own), math.nan
            differ = int((own != theirs).sum())
            rows.append(_difference_row(like, f"paired_{side}", mine, other))
            p = clustered.sign_flip(own - theirs)
            h = clustered.cohen_h(float(own.mean()), float(theirs.mean()))
            rows.append(row(like, f"paired_q_{side}", (p, differ, k, nan, nan)))
            rows.append(row(like, f"effect_{side}", (h, differ, k, nan, nan)))
    return rows


def replaced(rows: Iterable[Row], better: Iterable[Row]) -> list[Row]:
    """``rows`` with those of ``better`` in the place of the same figures, and the rest of it."""
    by_key = {_figure(one): one for one in better}
    found = [by_key.pop(_figure(one), one) for one in rows]
    return [*found, *by_key.values()]


def _rate_row(like: Verdict, metric: str, mine: Sequence[Verdict]) -> Row:
    concepts, hits = [v.concept for v in mine], _seen(mine)
    value = float(clustered.concept_means(hits[None], concepts).mean())
    prompts = [v.prompt for v in mine]
    low, high = clustered.clustered_rate_interval(hits, concepts, prompts)
    return row(like, metric, (value, None, len(set(concepts)), low, high))


def _share_row(like: Verdict, metric: str, mine: Sequence[Verdict], base: Sequence[Verdict]) -> Row:
    concepts, prompts = [v.concept for v in mine], [v.prompt for v in mine]
    both = torch.stack([_seen(mine), _seen(base)])
    after, before = clustered.concept_means(both, concepts).mean(1).tolist()
    n = len(set(concepts))
    if not before:
        return row(like, metric, (math.nan, None, n, math.nan, math.nan))
    replicates = clustered.nested_means(both, concepts, prompts)
    ratio = (replicates[0] / replicates[1])[replicates[1] > 0]
    low, high = statistics.percentile_interval(ratio)
    if not after:  # the bootstrap has no width where nothing is seen
        high = statistics.wilson_interval(0, len(mine))[1] / before
    return row(like, metric, (after / before, None, n, low, high))


def _difference_row(
    like: Verdict, metric: str, mine: Sequence[Verdict], other: Sequence[Verdict]
) -> Row:
    concepts, prompts = [v.concept for v in mine], [v.prompt for v in mine]
    steps = (_seen(mine) - _seen(other))[None]
    value = float(clustered.concept_means(steps, concepts).mean())
    low, high = statistics.percentile_interval(clustered.nested_means(steps, concepts, prompts)[0])
    return row(like, metric, (value, int(steps.abs().sum()), len(mine), low, high))


def _seen(verdicts: Sequence[Verdict]) -> Tensor:
    return torch.tensor([bool(v.correct) for v in verdicts], dtype=torch.float64)


def _ordered(run: Sequence[Verdict], groups: Sequence[str]) -> list[Verdict]:
    """Of the groups, sorted, so that the order in which pictures were drawn decides nothing."""
    mine = [v for v in run if v.group in groups]
    return sorted(mine, key=lambda v: (v.concept, v.prompt, v.item))


def _runs(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    runs: dict[tuple[str, str, str, str, int], list[Verdict]] = {}
    for v in verdicts:
        if v.correct is not None:
            runs.setdefault((v.model, v.task, v.method, v.judge, v.seed), []).append(v)
    return list(runs.values())


def _like(run: Sequence[Verdict]) -> Verdict:
    own = JudgingProtocol.parse(run[0].protocol)
    protocol = str(replace(own, items=items_digest({v.item for v in run})))
    return replace(run[0], concept="mean", protocol=protocol)


def _picture(v: Verdict) -> tuple[str, str, str, str, str]:
    return v.model, v.task, v.judge, v.concept, v.item


def _figure(one: Row) -> tuple[str, str, str, str, str, str, int]:
    return one.model, one.task, one.method, one.concept, one.judge, one.metric, one.seed
