"""Verdicts to figures: a pure function, so that every table can be made again."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from statistics import fmean

import torch

from trace_erasure.errors import InputError
from trace_erasure.evaluation.metrics import per_concept
from trace_erasure.evaluation.metrics.per_concept import Figure
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.tasks.task import KEPT, JudgingProtocol, items_digest
from trace_erasure.math import statistics

# A figure of means, and the means that it is made of: low is good, high, low.
OF_MEANS = {"h_o": ("acc_e", "acc_s", "acc_g"), "h_o_prob": ("prob_e", "prob_s", "prob_g")}


def summarise(verdicts: Sequence[Verdict], base: Sequence[Verdict] | None = None) -> list[Row]:
    """All figures of ``verdicts``: by concept, then their ``mean`` and ``worst``.

    Rates have the wider of Wilson's interval and a bootstrap by prompt. H_o and H_c have those of
    their legs, all at the bad end or all at the good one. A mean is over concepts, and so is its
    interval's bootstrap.

    Args:
        verdicts: of any number of models, tasks, methods, seeds and judges.
        base: the original model's, for the figures that compare with it.

    Raises:
        InputError: a picture is missing or counted twice, or ``base`` does not cover the same
            items.
    """
    originals = _by(base or [], lambda v: (v.model, v.task, v.judge, v.concept))
    rows: list[Row] = []
    for run in _by(verdicts, lambda v: (v.model, v.task, v.method, v.seed, v.judge)).values():
        of_run: list[Row] = []
        for concept, mine in _by(run, lambda v: v.concept).items():
            _check_complete(mine)
            found = per_concept.concept_figures(mine)
            if base is not None:
                original = originals.get((mine[0].model, mine[0].task, mine[0].judge, concept), [])
                found |= per_concept.against_base(mine, original)
                _check_complete(original)
            of_run += [row(mine[0], metric, figure) for metric, figure in found.items()]
        rows += of_run + _over_concepts(of_run, run)
    return rows


def _by(verdicts: Iterable[Verdict], key: Callable[[Verdict], object]) -> dict:
    groups = defaultdict(list)
    for verdict in verdicts:
        groups[key(verdict)].append(verdict)
    return dict(groups)


def _check_complete(verdicts: Sequence[Verdict]) -> None:
    """The verdicts of one concept are those of all its items, each once."""
    first = verdicts[0]
    found = items_digest(verdict.item for verdict in verdicts)
    for verdict in verdicts:
        asked = JudgingProtocol.parse(verdict.protocol)
        if asked.items != found or verdict.protocol != first.protocol:
            raise InputError(
                f"{first.method}, {first.task}, {first.concept}, judge {first.judge}: these "
                f"{len(verdicts)} verdicts are not one each for the {asked.items.split(':')[0]} "
                "items of the protocol. Put the verdicts of all shards together, and of one run."
            )


def row(like: Verdict, metric: str, figure: Figure) -> Row:
    """A figure of the run, concept, judge and protocol of ``like``."""
    value, numerator, n, low, high = figure
    return Row(
        model=like.model,
        task=like.task,
        method=like.method,
        concept=like.concept,
        judge=like.judge,
        metric=metric,
        value=value,
        numerator=numerator,
        n=n,
        low=low,
        high=high,
        seed=like.seed,
        protocol=like.protocol,
    )


def _over_concepts(rows: Sequence[Row], run: Sequence[Verdict]) -> list[Row]:
    """``mean`` and ``worst`` of every metric. A concept without a value leaves neither."""
    by_metric: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_metric[row.metric].append(row)
    # Averages over other concepts are other figures, so the protocol covers all items.
    own = JudgingProtocol.parse(run[0].protocol)
    protocol = str(replace(own, items=items_digest({verdict.item for verdict in run})))
    result: list[Row] = []
    for metric, group in by_metric.items():
        values = [row.value for row in group]
        unknown = any(math.isnan(value) for value in values)
        mean = math.nan if unknown else fmean(values)
        low, high = group[0].low, group[0].high
        if len(group) > 1:
            low, high = statistics.bootstrap_interval(
                torch.tensor(values, dtype=torch.float64), range(len(group))
            )
        over = dict(numerator=None, n=len(group), protocol=protocol)
        result.append(replace(group[0], concept="mean", value=mean, low=low, high=high, **over))
        pick = max if METRICS[metric].better == "low" else min
        worst = pick(group, key=lambda row: row.value)
        if unknown:
            worst = replace(worst, value=math.nan, low=math.nan, high=math.nan, numerator=None)
        result.append(replace(worst, concept="worst", protocol=protocol))
    means = {row.metric: row for row in result if row.concept == "mean"}
    for metric, legs in OF_MEANS.items():
        if metric in means:
            value = statistics.h_o(*(means[leg].value for leg in legs))
            of_means = f"{metric}_of_means"
            like = means[metric]
            result.append(replace(like, metric=of_means, value=value, low=math.nan, high=math.nan))
    return result


def judge_agreement(verdicts: Sequence[Verdict], one: str, other: str) -> list[Row]:
    """How far two judges agree on the erased prompts' pictures, by concept.

    Args:
        verdicts: of one run, one task and at least these two judges.
        one, other: judge ids.

    Raises:
        InputError: the judges did not see the same items, or one of them only scores.
    """
    rows: list[Row] = []
    for concept, mine in _by(verdicts, lambda v: v.concept).items():
        seen = [
            {v.item: v for v in mine if v.judge == judge and v.group not in KEPT}
            for judge in (one, other)
        ]
        first, second = seen
        if first.keys() != second.keys() or not first:
            raise InputError(
                f"{concept}: judges {one} and {other} did not see the same erased items. Give "
                "verdicts of a run with both."
            )
        if any(v.correct is None for table in seen for v in table.values()):
            raise InputError(f"{one} and {other}: only judges that classify can agree.")
        pairs = list(first.values())
        also = {item: bool(verdict.correct) for item, verdict in second.items()}
        found = {
            "agreement": per_concept.rate(
                pairs, lambda v, also=also: bool(v.correct) == also[v.item]
            ),
            "seen_by_both": per_concept.rate(
                pairs, lambda v, also=also: v.correct and also[v.item]
            ),
            "seen_by_either": per_concept.rate(
                pairs, lambda v, also=also: v.correct or also[v.item]
            ),
        }
        like = replace(pairs[0], judge=f"{one} & {other}")
        rows += [row(like, metric, figure) for metric, figure in found.items()]
    return rows
