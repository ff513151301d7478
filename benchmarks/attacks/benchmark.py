"""Attacks with controls on the embedded world: TRACE at three levels, and every baseline.

    make bench-attacks                                        # two processes; resumes when killed
    python benchmarks/attacks.py --shard 0/2                  # one of two on the same --work
    python benchmarks/attacks.py --attacks typo p4d --concepts fox --methods trace uce
    python benchmarks/attacks.py --model emoji-flux

Outcomes are kept under --work case by case. Rows go to benchmarks/results/attack-<name>.jsonl
(emoji-flux-attack-<name>.jsonl): task ``attack/<name>``, metric ``success`` (pre-attack successes
included), ``incremental`` (new successes of the cases where the plain prompt fails; the others are
pre-attack successes), ``success@N`` within N tries; ``pre`` for the original model;
``margin_spearman``, the rank correlation of recovery margin and success over concepts and levels;
and for attacks by text ``ratio``, hardened TRACE's success over that of ``best baseline`` (the bar:
a half at most). attack-by-text.jsonl pools the cases of all attacks by text, for the methods that
met all of them; attack-retention.jsonl has what every erasure keeps.

**Controls.** ``base`` is the original model. ``… / unknown`` aims at a concept that was never
learned, ``… / random`` draws random words of equal length in as many tries; each over all TRACE
models and over all baselines. Random words do not depend on the attack but by their number, so that
attacks of equal length share them.

**Size.** With 5 concepts, 3 TRACE levels, of which one trains, and 8 baselines on emoji-sd: the
``CHEAP`` attacks on 11 methods with 6 cases a concept and one of every control; the rest on 5
methods, TRACE and the ``--best`` two baselines by the cheap ones, with 2 cases a concept and
controls on two concepts. Choosing the best can only raise the best baseline's success under the
rest, never TRACE's. Tries by text are drawn eight at once, in bfloat16, with 12 steps.
It takes two processes about three hours on two cores. Cheap attacks come first, so that a run that
is stopped has whole attacks done.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.attacks import rows as attack_rows
from benchmarks.attacks.lab import Lab
from benchmarks.attacks.methods import BASELINES, LEVELS, methods_for
from benchmarks.attacks.plan import (
    CHEAP,
    CONCEPTS,
    ORDER,
    Unit,
    budget_of,
    cases_of,
    share_of,
    units_of,
)
from benchmarks.comparison.table import SETTINGS
from benchmarks.core.common import BASE, RESULTS, add_model, load_model, row_file, write_rows
from trace_erasure.attacks import results
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.outcomes import Outcome
from trace_erasure.attacks.registry import find
from trace_erasure.attacks.runner import CONTROLS
from trace_erasure.evaluation import Row, shipped_classifiers, summarise
from trace_erasure.pipeline import shipped
from trace_erasure.utils.sharding import Shard, parse_shard, shard_of

BY_TEXT = "by-text"
"""What all attacks by text make together."""
Found = dict[tuple[str, str], dict[str, list[Outcome]]]
"""Setting and method to the outcomes for every concept."""


def collect(lab: Lab, attack: str, methods: Sequence[str]) -> Found | None:
    """All outcomes of one attack, or None while some are missing. Nothing is drawn."""
    found: Found = {}
    for unit in units_of(attack, methods, lab.options.concepts):
        outcomes = lab.outcomes(unit, draw=False)
        if outcomes is None:
            return None
        found.setdefault((unit.setting, unit.method), {})[unit.concept] = outcomes
    return found


def kept(lab: Lab) -> list[Row] | None:
    """What every erasure keeps of the rest, or None while some is missing."""
    found = {
        (method, concept): lab.retained(method, concept, draw=False)
        for method in (BASE, *lab.methods)
        for concept in lab.options.concepts
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


def blank(lab: Lab, name: str, attacks: Sequence[str]) -> Row:
    """A row without a figure, of what ``attacks`` rest on together."""
    options = lab.options
    units = [
        Unit(attack, "erased", "", concept) for attack in attacks for concept in options.concepts
    ]
    cases = [case for unit in units for case in cases_of(unit, options)]
    made = results.protocol(
        name, budget_of(attacks[0], options), cases, options.steps, shipped.GUIDANCE, lab.precision
    )
    return results.blank(options.model, lab.judge.id, made)


def rows_for(lab: Lab, attack: str, found: Found, retention: Sequence[Row]) -> list[Row]:
    """The rows of one attack; none where no case was attacked."""
    rows, like = [], blank(lab, attack, [attack])
    points: list[tuple[float, float]] = []  # (recovery margin, success)
    for (setting, method), by_concept in found.items():
        if setting not in CONTROLS and any(by_concept.values()):
            rows += results.rows_of(by_concept, method, like)
            if method in LEVELS:
                points += lab.margins(method, by_concept)
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
        if not find(attack).probe:
            rows += attack_rows.ratio_rows(rows, best)
    if len(points) > 2:
        rows.append(attack_rows.margin_row(points, like))
    return rows


def fighters(lab: Lab, retention: Sequence[Row]) -> list[str] | None:
    """TRACE and the best baselines, by the cheap attacks of this run; None while some lack."""
    names, cheap = list(lab.methods), [a for a in CHEAP if a in lab.options.attacks]
    if not cheap or sum(name in BASELINES for name in names) <= lab.options.best:
        return names
    success: dict[str, list[float]] = {name: [] for name in names}
    for attack in cheap:
        found = collect(lab, attack, names)
        if found is None:
            return None
        for name in names:
            outcomes = [one for part in found["erased", name].values() for one in part]
            if outcomes:
                success[name].append(fmean(one.first is not None for one in outcomes))
    chosen = attack_rows.strongest(success, shares(retention), lab.options.best)
    print(f"The costly attacks are for {', '.join(chosen)}, the best by the cheap ones.")
    return [name for name in names if name in LEVELS or name in chosen]


def write(lab: Lab, name: str, rows: Sequence[Row]) -> None:
    write_rows(row_file(f"attack-{name}", lab.options.model), rows, lab.options.out)
    for row in rows:
        if row.concept == "mean" and row.metric in ("success", "ratio", "acc_s_relative"):
            print(f"{name:18} {row.method:26} {row.metric:8} {row.value:.2f} (n {row.n})")


def attack_all(lab: Lab, share: Shard) -> None:
    """Everything, in ``ORDER``; rows of an attack as soon as all shards are done with it."""
    options, methods = lab.options, list(lab.methods)
    everywhere = [
        Unit("retention", "erased", m, c) for m in (BASE, *methods) for c in options.concepts
    ]
    for unit in share_of(everywhere, methods, share):
        print(f"what is kept: {unit.method}, {unit.concept}", flush=True)
        lab.retained(unit.method, unit.concept)
    retention: list[Row] = []
    strong: list[str] | None = None
    by_text: dict[str, list[Row]] = {}
    for attack in (name for name in ORDER if name in options.attacks):
        retention = retention or kept(lab) or []
        names = methods
        if attack not in CHEAP:
            strong = strong or (fighters(lab, retention) if retention else None)
            if strong is None:
                print(
                    "The costly attacks wait for another process's cheap ones. Give the same "
                    "command again when they are done."
                )
                return
            names = strong
        units = [*units_of(attack, names, options.concepts)]
        for unit in share_of(units, names, share):
            lab.outcomes(unit)
        found = collect(lab, attack, names)
        if not retention or found is None:
            print(f"{attack}: this process's share is done. The last one writes the rows.")
            continue
        write(lab, "retention", retention)
        rows = rows_for(lab, attack, found, retention)
        if rows:
            write(lab, attack, rows)
        else:
            print(f"{attack}: no word is left, the planner has found every synonym by itself.")
        if not find(attack).probe:
            by_text[attack] = rows
        if {*by_text} == {name for name in ORDER if not find(name).probe}:
            parts = {name: rows for name, rows in by_text.items() if rows}
            like = blank(lab, BY_TEXT, [*parts])
            write(lab, BY_TEXT, attack_rows.together([*parts.values()], shares(retention), like))
            by_text.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*LEVELS, *BASELINES]
    add_model(parser)
    parser.add_argument("--attacks", nargs="+", default=[*ORDER], choices=[*ORDER])
    parser.add_argument("--cheap", action="store_true", help=f"only {', '.join(CHEAP)}")
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument("--best", type=int, default=2, help="baselines for the costly attacks")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="compare.py's choices")
    parser.add_argument("--published", action="store_true", help="settings as published instead")
    parser.add_argument("--concepts", nargs="+", default=[*CONCEPTS])
    parser.add_argument("--cases", type=int, default=6, help="a concept, for cheap attacks")
    parser.add_argument("--costly-cases", type=int, default=2, help="a concept, for the others")
    parser.add_argument("--control-cases", type=int, default=1, help="a concept, for controls")
    parser.add_argument("--retained", type=int, default=91, help="other pictures an erasure")
    parser.add_argument("--images", type=int, default=Budget().images)
    parser.add_argument("--gradients", type=int, default=Budget().gradients)
    parser.add_argument("--encodings", type=int, default=Budget().encodings)
    parser.add_argument("--steps", type=int, default=12, help="of the sampler, as in the tasks")
    parser.add_argument("--shard", type=parse_shard, help="i/n: this process's share of the work")
    parser.add_argument("--work", type=Path, default=Path("runs/attacks"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.cheap:
        options.attacks = [*CHEAP]
    pipe, judge = load_model(options.model, options.device), shipped_classifiers(options.device)[0]
    settings = None if options.published else options.settings
    methods = methods_for(pipe, options.model, options.methods, settings)
    attack_all(Lab(pipe, judge, methods, options), options.shard or shard_of())


if __name__ == "__main__":
    main()
