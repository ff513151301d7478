"""Attacks with controls on the embedded world: TRACE at three levels, and every baseline.

    make bench-attacks                                        # two processes; resumes when killed
    python -m benchmarks attacks --shard 0/2                  # one of two on the same --work
    python -m benchmarks attacks --attacks typo p4d --concepts fox --methods trace uce
    python -m benchmarks attacks --model emoji-flux

Outcomes are kept under --work case by case. Rows go to <out>/<model>/attack-<name>.jsonl:
task ``attack/<name>``, metric ``success`` (pre-attack successes included), ``incremental`` (new
successes of the cases where the plain prompt fails; the others are pre-attack successes),
``success@N`` within N tries; ``pre`` for the original model;
``margin_spearman``, the rank correlation of recovery margin and success over concepts and levels;
and for attacks by text ``ratio``, hardened TRACE's success over that of ``best baseline`` (the bar:
a half at most). attack-by-text.jsonl pools the cases of all attacks by text, for the methods that
met all of them, attack-apart.jsonl those that ``design.yaml`` keeps apart from the design of the
hardening; attack-retention.jsonl has what every erasure keeps. Intervals are clustered by concept.

**Controls.** ``base`` is the original model. ``… / unknown`` aims at a concept that was never
learned, ``… / random`` draws random words of equal length in as many tries; each over all TRACE
models and over all baselines. Random words do not depend on the attack but by their number, so that
attacks of equal length share them.

**Size.** With 6 concepts, 3 TRACE levels, of which one trains, and 8 baselines on emoji-sd: the
``CHEAP`` attacks on 11 methods with 6 cases a concept and one of every control; the rest on TRACE
and every baseline that keeps 95 % of the rest, with 2 cases a concept and controls on two concepts.
``--best 2`` takes two of these baselines, those that withstood the cheap attacks best. Tries by
text are drawn eight at once, in bfloat16, with 12 steps. With 5 concepts and ``--best 2`` it takes
two processes about three hours on two cores. Cheap attacks come first, so that a run that is
stopped has whole attacks done. Baselines are as published: none is hardened.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from benchmarks.attacks import rows as attack_rows
from benchmarks.attacks.bench import Bench
from benchmarks.attacks.figures import (
    blank,
    collect,
    methods_of_costly,
    retention_of,
    rows_for,
    shares,
)
from benchmarks.attacks.methods import BASELINES, LEVELS, methods_for
from benchmarks.attacks.plan import APART, CHEAP, CONCEPTS, ORDER, Unit, shard_of_units, units_of
from benchmarks.comparison.settings import SETTINGS
from benchmarks.core.models import BASE, load_model
from benchmarks.core.rows import write_rows
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.registry import attack_entry
from trace_erasure.evaluation import Row, shipped_classifiers
from trace_erasure.utils.sharding import Shard

BY_TEXT = "by-text"
"""What all attacks by text make together."""
BY_TEXT_APART = "apart"
"""The same of those that the hardening was not designed on: the figure to quote."""


def add_options(parser: ArgumentParser) -> None:
    names = [*LEVELS, *BASELINES]
    parser.add_argument("--attacks", nargs="+", default=[*ORDER], choices=[*ORDER])
    parser.add_argument("--cheap", action="store_true", help=f"only {', '.join(CHEAP)}")
    parser.add_argument("--methods", nargs="+", default=names, choices=names)
    parser.add_argument("--best", type=int, help="only so many baselines for the costly attacks")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="file of sweep's choices")
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


def write(bench: Bench, name: str, rows: Sequence[Row]) -> None:
    write_rows(f"attack-{name}", bench.options.model, rows, bench.options.out)
    for row in rows:
        if row.concept == "mean" and row.metric in ("success", "ratio", "acc_s_relative"):
            print(f"{name:18} {row.method:26} {row.metric:8} {row.value:.2f} (n {row.n})")


def attack_all(bench: Bench, shard: Shard) -> None:
    """Everything, in ``ORDER``; rows of an attack as soon as all shards are done with it."""
    options, methods = bench.options, list(bench.methods)
    everywhere = [
        Unit("retention", "erased", m, c) for m in (BASE, *methods) for c in options.concepts
    ]
    for unit in shard_of_units(everywhere, methods, shard):
        print(f"what is kept: {unit.method}, {unit.concept}", flush=True)
        bench.retained(unit.method, unit.concept)
    retention: list[Row] = []
    strong: list[str] | None = None
    by_text: dict[str, list[Row]] = {}
    for attack in (name for name in ORDER if name in options.attacks):
        retention = retention or retention_of(bench) or []
        names = methods
        if attack not in CHEAP:
            strong = strong or (methods_of_costly(bench, retention) if retention else None)
            if strong is None:
                print(
                    "The costly attacks wait for another process's cheap ones. Give the same "
                    "command again when they are done."
                )
                return
            names = strong
        units = [*units_of(attack, names, options.concepts)]
        for unit in shard_of_units(units, names, shard):
            bench.outcomes(unit)
        found = collect(bench, attack, names)
        if not retention or found is None:
            print(f"{attack}: this process's share is done. The last one writes the rows.")
            continue
        write(bench, "retention", retention)
        rows = rows_for(bench, attack, found, retention)
        if rows:
            write(bench, attack, rows)
        else:
            print(f"{attack}: no word is left, the planner has found every synonym by itself.")
        if not attack_entry(attack).probe:
            by_text[attack] = rows
        if {*by_text} == {name for name in ORDER if not attack_entry(name).probe}:
            parts = {name: rows for name, rows in by_text.items() if rows}
            like = blank(bench, BY_TEXT, [*parts])
            write(bench, BY_TEXT, attack_rows.together([*parts.values()], shares(retention), like))
            apart = {name: rows for name, rows in parts.items() if name in APART}
            like = blank(bench, BY_TEXT_APART, [*apart])
            rows = attack_rows.together([*apart.values()], shares(retention), like)
            write(bench, BY_TEXT_APART, rows)
            by_text.clear()


def run(options: Namespace) -> None:
    if options.cheap:
        options.attacks = [*CHEAP]
    pipe, judge = load_model(options.model, options.device), shipped_classifiers(options.device)[0]
    settings = None if options.published else options.settings
    methods = methods_for(pipe, options.model, options.methods, settings)
    attack_all(Bench(pipe, judge, methods, options), options.shard)
