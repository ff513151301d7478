"""The figures of one concept seen by one judge: plain arithmetic on verdicts."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import Detection, group_of
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.tasks.task import GENERAL, KEPT
from trace_erasure.math import statistics

# metric, the item groups that it counts, whether it is given even if the task has no such item
RATE_METRICS = (
    ("acc_e", ("target",), True),
    ("acc_g", GENERAL, True),
    ("acc_all", ("target", *GENERAL), True),
    ("acc_s", ("retain",), True),
    *((f"acc_{group}", (group,), False) for group in (*GENERAL, "scene")),
)
PROBABILITY_METRICS = (("prob_e", ("target",)), ("prob_g", GENERAL), ("prob_s", ("retain",)))
SCORE_METRICS = (("clip_e", ("target",)), ("clip_g", GENERAL), ("clip_s", ("retain",)))

Figure = tuple[float, int | None, int, float, float]  # value, numerator, n, low, high
Flag = Callable[[Verdict], object]


def hits(verdicts: Sequence[Verdict], flag: Flag) -> Tensor:
    return torch.tensor([bool(flag(verdict)) for verdict in verdicts], dtype=torch.float64)


def rate(verdicts: Sequence[Verdict], flag: Flag) -> Figure:
    """The share of ``verdicts`` with the flag."""
    # Sorted, so that the order in which pictures were drawn decides nothing.
    pairs = sorted((verdict.prompt, bool(flag(verdict))) for verdict in verdicts)
    found = torch.tensor([hit for _, hit in pairs], dtype=torch.float64)
    low, high = statistics.rate_interval(found, [prompt for prompt, _ in pairs])
    k, n = int(found.sum()), len(found)
    return statistics.rate(k, n), k, n, low, high


def mean(values: Sequence[float], prompts: Sequence[str]) -> Figure:
    """The mean of one value a picture, with a bootstrap by prompt; ``nan`` of none."""
    if not values:
        return math.nan, None, 0, math.nan, math.nan
    pairs = sorted(zip(prompts, values, strict=True))
    numbers = torch.tensor([value for _, value in pairs], dtype=torch.float64)
    low, high = statistics.bootstrap_interval(numbers, [prompt for prompt, _ in pairs])
    return numbers.mean().item(), None, len(numbers), low, high


def harmonic(low_good: Sequence[Figure], high_good: Sequence[Figure]) -> Figure:
    """The harmonic mean of 1 − the former and the latter; all at the bad end, all at the good."""
    both = [*low_good, *high_good]
    mean = statistics.harmonic_mean
    value = mean(*(1 - x for x, *_ in low_good), *(x for x, *_ in high_good))
    worst = mean(*(1 - high for *_, high in low_good), *(low for *_, low, _ in high_good))
    best = mean(*(1 - low for *_, low, _ in low_good), *(high for *_, high in high_good))
    return value, None, sum(n for _, _, n, _, _ in both), worst, best


def concept_figures(verdicts: Sequence[Verdict]) -> dict[str, Figure]:
    """Metric to figure, for one concept and one judge."""
    figures: dict[str, Figure] = {}
    in_groups = lambda groups: [v for v in verdicts if v.group in groups]  # noqa: E731
    erased = [v for v in verdicts if v.group not in KEPT]
    retained = in_groups(("retain",))
    if verdicts[0].correct is not None:
        for metric, groups, always in RATE_METRICS:
            chosen = in_groups(groups)
            if chosen or always:
                figures[metric] = rate(chosen, lambda v: v.correct)
        e, g, s = figures["acc_e"], figures["acc_g"], figures["acc_s"]
        figures["h_o"], figures["h_c"] = harmonic([e, g], [s]), harmonic([e], [s])
        figures["prompt_rate"] = _prompt_rate(erased)
        pairs = [v for v in erased if v.companion]
        if pairs:
            figures["pair_kept"] = rate(pairs, lambda v: v.companion in v.labels)
        figures |= _domains(in_groups(("target",)), retained)
    if verdicts[0].threshold is not None:
        figures |= detections(erased)
    elif verdicts[0].probability is not None:
        for metric, groups in PROBABILITY_METRICS:
            chosen = in_groups(groups)
            chances = [v.probability for v in chosen if v.probability is not None]
            figures[metric] = mean(chances, [v.prompt for v in chosen])
        e, g, s = (figures[metric] for metric, _ in PROBABILITY_METRICS)
        figures["h_o_prob"] = harmonic([e, g], [s])
    if verdicts[0].nothing is not None:
        figures["nothing_e"] = rate(erased, lambda v: v.nothing)
        figures["nothing_s"] = rate(retained, lambda v: v.nothing)
        e = rate([v for v in in_groups(("target",)) if not v.nothing], lambda v: v.correct)
        s = rate([v for v in retained if not v.nothing], lambda v: v.correct)
        figures |= {"acc_e_shown": e, "acc_s_shown": s, "h_c_shown": harmonic([e], [s])}
    figures["blank"] = rate(verdicts, lambda v: v.blank)
    if verdicts[0].score is not None:
        for metric, groups in SCORE_METRICS:
            figures[metric] = _mean_score(in_groups(groups))
        e, s = figures["clip_e"], figures["clip_s"]
        if e[2] and s[2]:
            figures["h_a"] = s[0] - e[0], None, e[2] + s[2], s[3] - e[4], s[4] - e[3]
        if dual := in_groups(("dual",)):
            figures["clip_in_prompt"] = _mean_score(dual)
    return figures


def _mean_score(verdicts: Sequence[Verdict]) -> Figure:
    scores = [v.score for v in verdicts if v.score is not None]
    return mean(scores, [v.prompt for v in verdicts])


def _prompt_rate(verdicts: Sequence[Verdict]) -> Figure:
    seen: dict[str, bool] = {}
    for verdict in verdicts:
        seen[verdict.prompt] = seen.get(verdict.prompt, False) or bool(verdict.correct)
    k, n = sum(seen.values()), len(seen)
    return statistics.rate(k, n), k, n, *statistics.wilson_interval(k, n)


def _domains(target: Sequence[Verdict], retained: Sequence[Verdict]) -> dict[str, Figure]:
    """UA, IRA and CRA of UnlearnCanvas, where items of another domain are retained too."""
    if not target or not target[0].expected:
        return {}
    domain = group_of(target[0].expected[0])
    own = [v for v in retained if v.expected and group_of(v.expected[0]) == domain]
    other = [v for v in retained if v.expected and group_of(v.expected[0]) != domain]
    if not other:
        return {}
    return {
        "ua": rate(target, lambda v: not v.correct),
        "ira": rate(own, lambda v: v.correct),
        "cra": rate(other, lambda v: v.correct),
    }


def detections(verdicts: Sequence[Verdict], threshold: float | None = None) -> dict[str, Figure]:
    """Things found at ``threshold`` (default: the detector's own), in all and by class.

    The value is a count over all pictures, as papers print it; n is the number of pictures.
    """
    counts: list[Counter[str]] = []
    for verdict in verdicts:
        least = verdict.threshold if threshold is None else threshold
        found = map(Detection.parse, verdict.detections)
        counts.append(Counter(one.label for one in found if one.score >= (least or 0)))
    prompts = [verdict.prompt for verdict in verdicts]
    figures = {}
    classes = {metric.removeprefix("detections_"): metric for metric in METRICS}
    wanted = {label: name for label, name in classes.items() if name != label}
    for label, metric in wanted.items():
        figures[metric] = _total([count[label.upper()] for count in counts], prompts)
    every = [sum(count[label.upper()] for label in wanted) for count in counts]
    return {"detections": _total(every, prompts), **figures}


def _total(values: Sequence[int], prompts: Sequence[str]) -> Figure:
    _, _, n, low, high = mean([float(value) for value in values], prompts)
    return float(sum(values)), sum(values), n, n * low, n * high


def against_base(mine: Sequence[Verdict], base: Sequence[Verdict]) -> dict[str, Figure]:
    """Figures that compare with the original model, item by item.

    Raises:
        InputError: ``base`` was measured in another way, or is missing.
    """
    if not base or base[0].protocol != mine[0].protocol:
        first = mine[0]
        raise InputError(
            f"no verdicts of the original model for {first.task}, {first.concept}, judge "
            f"{first.judge} under the same protocol. Evaluate the original model on this task."
        )
    order = {verdict.item: verdict for verdict in base}
    figures: dict[str, Figure] = {}
    if mine[0].correct is not None:
        figures["acc_s_relative"] = _relative([v for v in mine if v.group == "retain"], order)
        for group in (*GENERAL, "scene"):
            if chosen := [v for v in mine if v.group == group]:
                figures[f"{group}_of_base"] = _relative(chosen, order)
        triggered = [v for v in mine if v.group == "target" and order[v.item].correct]
        figures["acc_e_triggered"] = rate(triggered, lambda v: v.correct)
    if mine[0].score is not None:
        for metric, group in (("clip_s_delta", "retain"), ("clip_in_prompt_delta", "dual")):
            if chosen := [v for v in mine if v.group == group]:
                changes = [(v.score or 0) - (order[v.item].score or 0) for v in chosen]
                figures[metric] = mean(changes, [v.prompt for v in chosen])
    return figures


def _relative(kept: Sequence[Verdict], order: dict[str, Verdict]) -> Figure:
    """How often it is seen over the original model's on the same items, resampled in pairs."""
    after, before = hits(kept, lambda v: v.correct), hits(kept, lambda v: order[v.item].correct)
    prompts = [verdict.prompt for verdict in kept]
    seed = zlib.crc32(b"acc_s_relative")
    ratio = statistics.bootstrap_means(after, prompts, seed=seed) / statistics.bootstrap_means(
        before, prompts, seed=seed
    )
    low, high = statistics.percentile_interval(ratio)
    # nan where the original model gets nothing right: 0 / 0 and 1 / 0 say the same, no measure.
    total = before.sum().item()
    return (after.sum().item() / total if total else math.nan), None, len(kept), low, high
