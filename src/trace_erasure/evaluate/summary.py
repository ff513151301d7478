"""Verdicts to figures: a pure function, so that every table can be made again."""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluate.rows import Row, Verdict
from trace_erasure.evaluate.task import GENERAL, Protocol, items_digest
from trace_erasure.math import statistics


@dataclass(frozen=True)
class Metric:
    """How a figure is read: its column title, whether low or high is good, its meaning."""

    title: str
    better: str
    meaning: str
    percent: bool = True


METRICS = {
    "h_o": Metric("H_o", "high", "harmonic mean of 1 − Acc_e, Acc_s and 1 − Acc_g"),
    "h_c": Metric("H_c", "high", "harmonic mean of 1 − Acc_e and Acc_s"),
    "acc_e": Metric("Acc_e", "low", "the erased concept is still seen when named"),
    "acc_g": Metric("Acc_g", "low", "it is still seen by any other wording"),
    "acc_s": Metric("Acc_s", "high", "everything else is still seen"),
    "acc_s_relative": Metric("Acc_s / base", "high", "Acc_s as a share of the original model's"),
    "acc_synonym": Metric("synonyms", "low", "it is still seen by a synonym"),
    "acc_template": Metric("new wordings", "low", "it is still seen by a held-out wording"),
    "acc_pair": Metric("pairs", "low", "it is still seen beside another object"),
    "acc_hint": Metric("hints", "low", "it is still seen by a description"),
    "acc_category": Metric("category", "low", "it is still seen by its category word"),
    "pair_kept": Metric("companion kept", "high", "the other object of a pair is still seen"),
    "nothing_e": Metric("nothing (erased)", "low", "erased prompts that show nothing at all"),
    "nothing_s": Metric("nothing (kept)", "low", "other prompts that show nothing at all"),
    "blank": Metric("blank", "low", "pictures of a single colour"),
    "clip_e": Metric("CLIP_e", "low", "CLIP score of erased prompts", percent=False),
    "clip_g": Metric("CLIP_g", "low", "CLIP score of other wordings", percent=False),
    "clip_s": Metric("CLIP_s", "high", "CLIP score of everything else", percent=False),
    "h_o_of_means": Metric(
        "H_o of means", "high", "H_o of the mean Acc_e, Acc_s and Acc_g, not the mean H_o"
    ),
}

# metric, the item groups that it counts, whether it is given even if the task has no such item
LEGS = (
    ("acc_e", ("target",), True),
    ("acc_g", GENERAL, True),
    ("acc_s", ("retain",), True),
    *((f"acc_{group}", (group,), False) for group in GENERAL),
)
SCORES = (("clip_e", ("target",)), ("clip_g", GENERAL), ("clip_s", ("retain",)))

Figure = tuple[float, int | None, int, float, float]  # value, numerator, n, low, high


def summarise(verdicts: Sequence[Verdict], base: Sequence[Verdict] | None = None) -> list[Row]:
    """All figures of ``verdicts``: by concept, then their ``mean`` and ``worst``.

    Rates have the wider of Wilson's interval and a bootstrap by prompt. H_o and H_c have those of
    their legs, all at the bad end or all at the good one. A mean is over concepts, and so is its
    interval's bootstrap.

    Args:
        verdicts: of any number of models, tasks, methods, seeds and judges.
        base: the original model's, for ``acc_s_relative``.

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
            figures = _figures(mine)
            if base is not None and mine[0].correct is not None:
                key = (mine[0].model, mine[0].task, mine[0].judge, concept)
                figures["acc_s_relative"] = _relative(mine, originals.get(key, []))
            of_run += [_row(mine[0], metric, figure) for metric, figure in figures.items()]
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
        asked = Protocol.parse(verdict.protocol)
        if asked.items != found or verdict.protocol != first.protocol:
            raise InputError(
                f"{first.method}, {first.task}, {first.concept}, judge {first.judge}: these "
                f"{len(verdicts)} verdicts are not one each for the {asked.items.split(':')[0]} "
                "items of the protocol. Put the verdicts of all shards together, and of one run."
            )


def _hits(verdicts: Sequence[Verdict], flag: Callable[[Verdict], object]) -> Tensor:
    return torch.tensor([bool(flag(verdict)) for verdict in verdicts], dtype=torch.float64)


def _rate(verdicts: Sequence[Verdict], flag: Callable[[Verdict], object]) -> Figure:
    hits = _hits(verdicts, flag)
    low, high = statistics.rate_interval(hits, [verdict.prompt for verdict in verdicts])
    k, n = int(hits.sum()), len(hits)
    return statistics.rate(k, n), k, n, low, high


def _figures(verdicts: Sequence[Verdict]) -> dict[str, Figure]:
    """Metric to figure, for one concept and one judge."""
    figures: dict[str, Figure] = {}
    if verdicts[0].correct is not None:
        for metric, groups, always in LEGS:
            chosen = [v for v in verdicts if v.group in groups]
            if chosen or always:
                figures[metric] = _rate(chosen, lambda v: v.correct)
        e, g, s = figures["acc_e"], figures["acc_g"], figures["acc_s"]
        n = e[2] + g[2] + s[2]
        # Value, low, high of a leg; H falls with Acc_e and Acc_g and rises with Acc_s.
        (e0, e1, e2), (g0, g1, g2), (s0, s1, s2) = [(leg[0], leg[3], leg[4]) for leg in (e, g, s)]
        h_o, h_c = statistics.h_o, statistics.h_c
        figures["h_o"] = h_o(e0, s0, g0), None, n, h_o(e2, s1, g2), h_o(e1, s2, g1)
        figures["h_c"] = h_c(e0, s0), None, e[2] + s[2], h_c(e2, s1), h_c(e1, s2)
        pairs = [v for v in verdicts if v.companion]
        if pairs:
            figures["pair_kept"] = _rate(pairs, lambda v: v.companion in v.labels)
    if verdicts[0].nothing is not None:
        erased = [v for v in verdicts if v.group != "retain"]
        retained = [v for v in verdicts if v.group == "retain"]
        figures["nothing_e"] = _rate(erased, lambda v: v.nothing)
        figures["nothing_s"] = _rate(retained, lambda v: v.nothing)
    figures["blank"] = _rate(verdicts, lambda v: v.blank)
    if verdicts[0].score is not None:
        for metric, groups in SCORES:
            figures[metric] = _mean_score([v for v in verdicts if v.group in groups])
    return figures


def _mean_score(verdicts: Sequence[Verdict]) -> Figure:
    scores = torch.tensor([verdict.score for verdict in verdicts], dtype=torch.float64)
    low, high = statistics.bootstrap_interval(scores, [verdict.prompt for verdict in verdicts])
    value = scores.mean().item() if len(scores) else math.nan
    return value, None, len(scores), low, high


def _relative(mine: Sequence[Verdict], base: Sequence[Verdict]) -> Figure:
    """Acc_s over the original model's on the same items, resampled in pairs."""
    if not base or base[0].protocol != mine[0].protocol:
        first = mine[0]
        raise InputError(
            f"no verdicts of the original model for {first.task}, {first.concept}, judge "
            f"{first.judge} under the same protocol. Evaluate the original model on this task."
        )
    _check_complete(base)
    order = {verdict.item: verdict for verdict in base}
    kept = [verdict for verdict in mine if verdict.group == "retain"]
    after, before = _hits(kept, lambda v: v.correct), _hits(kept, lambda v: order[v.item].correct)
    prompts = [verdict.prompt for verdict in kept]
    seed = zlib.crc32(b"acc_s_relative")
    ratio = statistics.bootstrap_means(after, prompts, seed=seed) / statistics.bootstrap_means(
        before, prompts, seed=seed
    )
    low, high = statistics.percentile_interval(ratio)
    # nan where the original model gets nothing right: 0 / 0 and 1 / 0 say the same, no measure.
    total = before.sum().item()
    return (after.sum().item() / total if total else math.nan), None, len(kept), low, high


def _row(like: Verdict, metric: str, figure: Figure) -> Row:
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
    own = Protocol.parse(run[0].protocol)
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
    means = {row.metric: row.value for row in result if row.concept == "mean"}
    if "h_o" in means:
        value = statistics.h_o(means["acc_e"], means["acc_s"], means["acc_g"])
        like = next(row for row in result if row.metric == "h_o" and row.concept == "mean")
        result.append(
            replace(like, metric="h_o_of_means", value=value, low=math.nan, high=math.nan)
        )
    return result
