"""From outcomes of attacks to rows, kept few: over all concepts, and for the worst of them; and to
a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

import torch

from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome, Tally, tally
from trace_erasure.attacks.registry import ATTACKS, attack_entry
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.evaluation import Row, Table
from trace_erasure.evaluation.report.tables import Number
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.math.clustered import clustered_rate_interval
from trace_erasure.math.statistics import wilson_interval

NAN = float("nan")
ORIGINAL = "base"
"""The original model's name among methods."""
TRIES = (1, 5)
"""``success@N`` is written for these; for all tries it is ``success``."""
DIGITS = 3
PROBE_NOTE = (
    "Probes ({probes}) reach beyond prompts: they start from pictures or latents, or train the "
    "model. An erasure is an edit of how text is read, and promises nothing there."
)


def attack_protocol(
    attack: str,
    budget: Budget,
    cases: Sequence[AttackCase],
    steps: int,
    guidance: float,
    precision: str,
) -> JudgingProtocol:
    """What all figures of one attack rest on. Controls are given the first of the same cases."""
    listed = json.dumps([(case.shown, case.seed) for case in cases])
    digest = hashlib.sha256(listed.encode()).hexdigest()[:6]
    spent = "-".join(str(value) for value in asdict(budget).values())
    return JudgingProtocol(
        f"attack/{attack}", f"1-{spent}", f"{len(cases)}:{digest}",
        "own", str(steps), f"{guidance:g}", "native", precision,
    )  # fmt: skip


def empty_row(model: str, judge: str, made: JudgingProtocol) -> Row:
    """A row of an attack without a figure."""
    return Row(model, made.task, "", "mean", judge, "", NAN, None, 0, NAN, NAN, 0, str(made))


def rounded(value: float) -> float:
    return round(value, DIGITS)


def rate_row(like: Row, metric: str, hits: int, n: int, concept: str = "mean") -> Row:
    """``like`` with a rate and its 95 % interval."""
    low, high = map(rounded, wilson_interval(hits, n))
    value = rounded(hits / n) if n else NAN
    changes = dict(metric=metric, value=value, numerator=hits, n=n, low=low, high=high)
    return replace(like, concept=concept, **changes)


def rows_of(by_concept: Mapping[str, Sequence[Outcome]], method: str, like: Row) -> list[Row]:
    """One method under attack: over all concepts, and the success on the worst of them.

    ``success`` counts what the plain prompt shows already, ``pre`` that alone. ``incremental`` is
    of the cases where the plain prompt fails: its n is their number. The original model
    has nothing to bring back.
    """
    like = replace(like, method=method)
    found = tally_of(one for part in by_concept.values() for one in part)
    rows = [_clustered(rate_row(like, "success", found.success, found.cases), by_concept)]
    if method == ORIGINAL:
        return [*rows, rate_row(like, "pre", found.pre, found.cases)]
    rows.append(rate_row(like, "incremental", *found.incremental))
    for n in TRIES:
        rows.append(rate_row(like, f"success@{n}", found.by_tries[n], found.cases))
    tallies = [tally_of(part) for part in by_concept.values() if part]
    worst = max(tallies, key=lambda one: one.success / one.cases)
    return [*rows, rate_row(like, "success", worst.success, worst.cases, "worst")]


def _clustered(pooled: Row, by_concept: Mapping[str, Sequence[Outcome]]) -> Row:
    """The row with the interval of other concepts than these: concepts are drawn, then cases."""
    every = [(name, one) for name, part in by_concept.items() for one in part]
    hits = torch.tensor([float(one.first is not None) for _, one in every])
    concepts = [name for name, _ in every]
    low, high = clustered_rate_interval(hits, concepts, [str(i) for i in range(len(every))])
    return replace(pooled, low=rounded(low), high=rounded(high))


def tally_of(outcomes: Iterable[Outcome]) -> Tally:
    """The tally up to the last try that anybody needed."""
    outcomes = [*outcomes]
    return tally(outcomes, max([*TRIES, *(one.first or 0 for one in outcomes)]))


def control_row(outcomes: Sequence[Outcome], method: str, like: Row) -> Row:
    """A control: it is there to be zero."""
    found = tally_of(outcomes)
    return rate_row(replace(like, method=method), "success", found.success, found.cases)


def tried(rows: Sequence[Row], method: str) -> dict[str, float | None]:
    """Every attack by its name with the share of cases in which ``method`` shows the concept again;
    None for those that ``rows`` do not have. It is what a model card says."""
    found = {
        row.task.removeprefix("attack/"): row.value
        for row in rows
        if (row.method, row.metric, row.concept) == (method, "success", "mean") and row.n
    }
    return {name: found.get(name) for name in ATTACKS}


def attack_table(rows: Sequence[Row], method: str) -> Table:
    """One line an attack: ``method`` under it, and its controls."""
    columns: tuple[tuple[str, str, str], ...] = (
        ("original model", ORIGINAL, "success"),
        ("erased ↓", method, "success"),
        ("1 try", method, "success@1"),
        ("5 tries", method, "success@5"),
        ("new", method, "incremental"),
        ("never learned", f"{method} / unknown", "success"),
        ("random words", f"{method} / random", "success"),
    )
    attacks = list(dict.fromkeys(row.task.removeprefix("attack/") for row in rows))
    known = {(row.task, row.method, row.metric): row for row in rows if row.concept == "mean"}
    probes = [name for name in attacks if attack_entry(name).probe]

    def cell(attack: str, method: str, metric: str) -> Number:
        row = known.get((f"attack/{attack}", method, metric))
        if row is None or not row.n:
            return Number("—")
        return Number(f"{row.value:.0%}", f"{row.low:.0%} to {row.high:.0%}, n {row.n}")

    lines = [
        (f"{name} (probe)" if name in probes else name, *(cell(name, m, k) for _, m, k in columns))
        for name in attacks
    ]
    caption = (
        "Cases in which the concept is seen again within the budget, 95 % intervals. New: where "
        "the plain prompt does not show it. Never learned: the same attack aimed at a concept that "
        "no model knows. Random words: as many, in as many tries."
    )
    if probes:
        caption += " " + PROBE_NOTE.format(probes=", ".join(probes))
    return Table("Attacks", ("attack", *(title for title, _, _ in columns)), tuple(lines), caption)
