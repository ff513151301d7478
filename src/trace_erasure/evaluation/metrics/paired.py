"""Two methods on the same pictures: how often they differ, and whether that could be chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean, median

from trace_erasure.errors import InputError
from trace_erasure.evaluation.metrics import per_concept
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.metrics.summary import row
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.tasks.task import KEPT, JudgingProtocol, items_digest

SEVERAL_SEEDS = -1
"""``Row.seed`` of a figure over several trainings."""
SIDES = {"erased": False, "kept": True}
"""What is compared apart, and whether it is the prompts of ``KEPT``."""


def mcnemar(only_one: int, only_other: int) -> float:
    """McNemar's exact test, two-sided: chance of a split as uneven, were both sides equal.

    Only pairs count on which the two differ; none of these is no evidence, 1. Integers all along,
    so that it needs no statistics package.
    """
    n = only_one + only_other
    tail = sum(math.comb(n, k) for k in range(min(only_one, only_other) + 1))
    return min(1.0, 2 * tail / 2**n)


def paired(verdicts: Sequence[Verdict], reference: Sequence[Verdict]) -> list[Row]:
    """Every method of ``verdicts`` against ``reference``, by task, judge and training seed.

    ``paired_erased`` and ``paired_kept`` are what is seen more often than in the reference's
    pictures of the same prompt and seed, with a bootstrap by prompt; ``paired_p_erased`` and
    ``paired_p_kept`` are McNemar's p over all pictures of the task. The numerator is the number of
    pictures on which the two differ. A reference of one training stands for all of the others'.

    Raises:
        InputError: the reference lacks a picture.
    """
    known = {_key(v): v for v in reference}
    if len({v.seed for v in reference}) == 1:
        seeds = {v.seed for v in verdicts}
        known |= {_key(v, seed): v for v in reference for seed in seeds}
    runs: dict[tuple[str, str, str, str, int], list[Verdict]] = {}
    for v in verdicts:
        if v.correct is not None:
            runs.setdefault((v.model, v.task, v.method, v.judge, v.seed), []).append(v)
    rows = []
    for run in runs.values():
        own = JudgingProtocol.parse(run[0].protocol)
        protocol = str(replace(own, items=items_digest({v.item for v in run})))
        like = replace(run[0], concept="mean", protocol=protocol)
        for side, kept in SIDES.items():
            mine = [v for v in run if (v.group in KEPT) == kept]
            missing = [v for v in mine if _key(v) not in known]
            if missing:
                raise InputError(
                    f"{len(missing)} pictures of {like.method}, {like.task}, seed {like.seed} have "
                    "no counterpart in the reference. Measure both on the same items and seeds."
                )
            pairs = [(v.prompt, bool(v.correct) - bool(known[_key(v)].correct)) for v in mine]
            more, less = (sum(step == sign for _, step in pairs) for sign in (1, -1))
            found = per_concept.mean(
                [float(step) for _, step in pairs], [text for text, _ in pairs]
            )
            value, _, n, low, high = found
            p = mcnemar(more, less) if n else math.nan
            rows.append(row(like, f"paired_{side}", (value, more + less, n, low, high)))
            chance = (p, more + less, n, math.nan, math.nan)
            rows.append(row(like, f"paired_p_{side}", chance))
    return rows


def over_seeds(rows: Iterable[Row]) -> list[Row]:
    """One row for the same figure at several training seeds.

    ``mean`` is averaged, ``worst`` is the worst of all. Seeds share their pictures' noise, and a
    method may not depend on the seed at all, so more of them make no interval narrower: it reaches
    from the lowest end to the highest. For the same reason p is twice the median, which holds
    however the tests depend on each other.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for one in rows:
        key = (one.model, one.task, one.method, one.concept, one.judge, one.metric)
        groups.setdefault(key, []).append(one)
    return [_pooled(group) if len(group) > 1 else group[0] for group in groups.values()]


def _pooled(group: Sequence[Row]) -> Row:
    first, values = group[0], [one.value for one in group]
    if any(math.isnan(value) for value in values):
        value = math.nan
    elif first.metric.startswith(("paired_p_", "paired_q_")):
        value = min(1.0, 2 * median(values))
    elif first.concept == "worst":
        value = (max if METRICS[first.metric].better == "low" else min)(values)
    else:
        value = fmean(values)
    low, high = min(one.low for one in group), max(one.high for one in group)
    return replace(first, value=value, numerator=None, low=low, high=high, seed=SEVERAL_SEEDS)


def _key(v: Verdict, seed: int | None = None) -> tuple[str, str, str, str, str, int]:
    return v.model, v.task, v.judge, v.concept, v.item, v.seed if seed is None else seed
