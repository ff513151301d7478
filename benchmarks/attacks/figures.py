"""Rows of one attack, and which baselines are worth the costly ones."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from benchmarks.attacks import rows as attack_rows
from benchmarks.attacks.bench import Bench
from benchmarks.attacks.methods import BASELINES, LEVELS
from benchmarks.attacks.plan import CHEAP, Unit, budget_of, cases_of, units_of
from benchmarks.core.models import BASE
from trace_erasure.attacks import results
from trace_erasure.attacks.outcomes import Outcome
from trace_erasure.attacks.registry import attack_entry
from trace_erasure.attacks.runner import CONTROLS
from trace_erasure.evaluation import Row, summarise
from trace_erasure.pipeline import shipped

Found = dict[tuple[str, str], dict[str, list[Outcome]]]
"""Setting and method to the outcomes for every concept."""


def collect(bench: Bench, attack: str, methods: Sequence[str]) -> Found | None:
    """All outcomes of one attack, or None while some are missing. Nothing is drawn."""
    found: Found = {}
    for unit in units_of(attack, methods, bench.options.concepts):
        outcomes = bench.outcomes(unit, draw=False)
        if outcomes is None:
            return None
        found.setdefault((unit.setting, unit.method), {})[unit.concept] = outcomes
    return found


def retention_of(bench: Bench) -> list[Row] | None:
    """What every erasure keeps of the rest, or None while some is missing."""
    found = {
        (method, concept): bench.retained(method, concept, draw=False)
        for method in (BASE, *bench.methods)
        for concept in bench.options.concepts
    }
    verdicts = []
    for part in found.values():
        if part is None:
            return None
        verdicts += part
    return attack_rows.retention_rows(
        summarise(verdicts, [v for v in verdicts if v.method == BASE])
    )


def shares(rows: Sequence[Row]) -> dict[str, float]:
    """Method to what it keeps, as a share of the original model's."""
    wanted = ("acc_s_relative", "mean")
    return {row.method: row.value for row in rows if (row.metric, row.concept) == wanted}


def blank(bench: Bench, name: str, attacks: Sequence[str]) -> Row:
    """A row without a figure, of what ``attacks`` rest on together."""
    options = bench.options
    units = [
        Unit(attack, "erased", "", concept) for attack in attacks for concept in options.concepts
    ]
    cases = [case for unit in units for case in cases_of(unit, options)]
    made = results.attack_protocol(
        name,
        budget_of(attacks[0], options),
        cases,
        options.steps,
        shipped.GUIDANCE,
        bench.precision,
    )
    return results.empty_row(options.model, bench.judge.id, made)


def rows_for(bench: Bench, attack: str, found: Found, retention: Sequence[Row]) -> list[Row]:
    """The rows of one attack; none where no case was attacked."""
    rows, like = [], blank(bench, attack, [attack])
    points: list[tuple[float, float]] = []  # (recovery margin, success)
    for (setting, method), by_concept in found.items():
        if setting not in CONTROLS and any(by_concept.values()):
            rows += results.rows_of(by_concept, method, like)
            if method in LEVELS:
                points += bench.margins(method, by_concept)
    if not rows:
        return []
    for kind, names in (("all trace", LEVELS), ("all baselines", BASELINES)):
        for control in CONTROLS:
            own = [
                part
                for (setting, method), part in found.items()
                if setting == control and method in names
            ]
            outcomes = [one for part in own for listed in part.values() for one in listed]
            if outcomes:
                rows.append(results.control_row(outcomes, f"{kind} / {control}", like))
    best = attack_rows.best_row(rows, shares(retention))
    if best is not None:
        rows.append(best)
        if not attack_entry(attack).probe:
            rows += attack_rows.ratio_rows(rows, best)
    if len(points) > 2:
        rows.append(attack_rows.margin_row(points, like))
    return rows


def methods_of_costly(bench: Bench, retention: Sequence[Row]) -> list[str] | None:
    """TRACE and every baseline that keeps ``KEPT`` of the rest; with ``--best`` so many of these,
    by the cheap attacks of this run, and None while some lack."""
    names, cheap = list(bench.methods), [a for a in CHEAP if a in bench.options.attacks]
    if bench.options.best is None:
        kept = shares(retention)
        return [n for n in names if n in LEVELS or kept.get(n, 0.0) >= attack_rows.KEPT]
    if not cheap or sum(name in BASELINES for name in names) <= bench.options.best:
        return names
    success: dict[str, list[float]] = {name: [] for name in names}
    for attack in cheap:
        found = collect(bench, attack, names)
        if found is None:
            return None
        for name in names:
            outcomes = [one for part in found["erased", name].values() for one in part]
            if outcomes:
                success[name].append(fmean(one.first is not None for one in outcomes))
    chosen = attack_rows.strongest(success, shares(retention), bench.options.best)
    print(f"The costly attacks are for {', '.join(chosen)}, the best by the cheap ones.")
    return [name for name in names if name in LEVELS or name in chosen]
