"""Erasures as switches: 25 concepts merged, then 26, then 24.

    python -m benchmarks many-switch                 # after `many`, whose artifacts it uses
    python -m benchmarks many-switch --model emoji-flux

Rows go to <out>/<model>/many-switch.jsonl. Those of the concepts in all three are called
``others``; the one that ``comes`` and the one that ``goes`` have rows of their own.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.core.models import BASE
from benchmarks.core.rows import SHOWN, under_one_protocol, write_rows
from benchmarks.merging.bench import (
    Bench,
    artifacts_folder,
    cost_rows,
    merging_options,
    merging_task,
    spec_of,
)
from benchmarks.merging.parts import parts_of
from trace_erasure.evaluation import Row, Verdict, summarise, to_markdown

MERGED = 25
LESS = 12
"""The place in the list of the concept that is taken out."""

add_options = merging_options


def run(options: Namespace) -> None:
    spec = spec_of(options, MERGED + 1)
    bench = Bench.of(options, artifacts_folder(options))
    task = merging_task(options, spec, "many-switch")
    parts = parts_of(bench.pipe, spec, bench.work).load()
    names = [concept.phrase for concept in spec.concepts]
    comes, goes = names[MERGED], names[LESS]
    lists = {
        "25": parts[:MERGED],
        "one more": parts,
        "one less": [part for i, part in enumerate(parts[:MERGED]) if i != LESS],
    }
    base = bench.verdicts(task, BASE)
    rows = rows_by_role(base, base, comes, goes)
    for method, own in lists.items():
        erasure, took = bench.merged(own)
        rows += rows_by_role(bench.verdicts(task, method, erasure), base, comes, goes)
        rows += cost_rows(rows[-1], len(own), {"seconds_merge": took})
    write_rows(task.name, options.model, rows, options.out)
    print(to_markdown([one for one in rows if one.judge != "none"], title=task.name))


def rows_by_role(
    verdicts: Sequence[Verdict], base: Sequence[Verdict], comes: str, goes: str
) -> list[Row]:
    """Rows of the two that switch, and of all others together, under one protocol."""
    switching = {comes: "comes", goes: "goes"}
    own = summarise([v for v in verdicts if v.concept in switching], base)
    rest = summarise([v for v in verdicts if v.concept not in switching], base)
    rows = [replace(r, concept=switching[r.concept]) for r in own if r.concept in switching]
    rows += [replace(r, concept="others") for r in rest if r.concept == "mean"]
    kept = {(r.judge, r.metric): r for r in own if r.metric in ("acc_s", "acc_s_relative")}
    rows = [replace(kept.get((r.judge, r.metric), r), concept=r.concept) for r in rows]
    return under_one_protocol([r for r in rows if r.metric in SHOWN], verdicts)
