"""How well the embedded model draws what it is asked for, before anything is erased.

    python -m benchmarks base

Every object, style and person of the world at fixed seeds (the ``retention`` task), seen by both
judges; the same judges on real renders are printed by training/judges.py. Rows go to
<out>/<model>/base.jsonl: one for each kind, and the worst name of each kind.
"""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from dataclasses import replace

from benchmarks.core.models import BASE, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import write_rows
from trace_erasure.evaluation import Row, Verdict, collect_verdicts, load_task, shipped_classifiers
from trace_erasure.evaluation.metrics.summary import row as row_of
from trace_erasure.math.statistics import wilson_interval
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.world import load_world


def kind_of(label: str) -> str:
    group, _, name = label.partition("/")
    if group == "style":
        return "styles"
    return "people" if name in load_world().people else "objects"


def row(kind: str, concept: str, verdicts: list[Verdict]) -> Row:
    hits, n = sum(bool(v.correct) for v in verdicts), len(verdicts)
    low, high = wilson_interval(hits, n)
    plain = row_of(verdicts[0], f"acc_{kind}", (hits / n, hits, n, low, high))
    return replace(plain, task=BASE, concept=concept)


def run(options: Namespace) -> None:
    found = collect_verdicts(
        load_model(options.model, options.device),
        load_task("retention"),
        shipped_classifiers(options.device),
        model=options.model,
        method=BASE,
        store=ImageStore(folder_of(options) / "images"),
        autocast=True,
    )
    by: dict[tuple[str, str], dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    for verdict in found:
        if verdict.correct is not None:
            label = verdict.expected[0]
            by[verdict.judge, kind_of(label)][label].append(verdict)
    rows = []
    for (_, kind), names in sorted(by.items()):
        rows.append(row(kind, "mean", [v for verdicts in names.values() for v in verdicts]))
        worst = min(
            names, key=lambda name: sum(bool(v.correct) for v in names[name]) / len(names[name])
        )
        rows.append(row(kind, f"worst: {worst.partition('/')[2]}", names[worst]))
    write_rows(BASE, options.model, rows, options.out)
    for r in rows:
        print(
            f"{r.judge:28} {r.metric:12} {r.concept:24} "
            f"{100 * r.value:5.1f} %  ({r.numerator}/{r.n})"
        )
