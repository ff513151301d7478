"""Five concepts merged, at strengths 0 to 1; and with the first alone at a half.

    python -m benchmarks many-strength               # after `many`, whose artifacts it uses
    python -m benchmarks many-strength --model emoji-flux

Rows, ``identical`` among them (the share of pictures that are the original's, byte for byte), go to
<out>/<model>/many-strength.jsonl; the curve and a sheet of pictures to <work>/<model>/…/strength.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from PIL import Image

from benchmarks.core.models import BASE
from benchmarks.core.rows import write_rows
from benchmarks.merging.bench import (
    Bench,
    artifacts_folder,
    figures_of,
    merging_options,
    merging_task,
    spec_of,
)
from benchmarks.merging.parts import parts_of
from trace_erasure.evaluation import (
    Row,
    RunFolder,
    ScaledErasure,
    Verdict,
    method_at_strength,
    summarise,
    to_markdown,
)
from trace_erasure.evaluation.metrics.per_concept import rate
from trace_erasure.evaluation.metrics.summary import row
from trace_erasure.evaluation.report.build import build_report
from trace_erasure.pipeline.image_store import ImageStore

GRADED = 5
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 76
"""Pixels of a picture on the sheet."""

add_options = merging_options


def run(options: Namespace) -> None:
    spec = spec_of(options, GRADED)
    bench = Bench.of(options, artifacts_folder(options))
    task = merging_task(options, spec, "many-strength")
    parts = parts_of(bench.pipe, spec, bench.work).load()
    whole, _ = bench.merged(parts)
    dimmed, _ = bench.merged(parts, strengths=[0.5, *[1.0] * (GRADED - 1)])
    tried: dict[str, Any] = {
        method_at_strength("trace", s): ScaledErasure(whole, s) for s in STRENGTHS
    }
    tried["first at a half"] = dimmed
    base = bench.verdicts(task, BASE)
    store = RunFolder(bench.work).images
    original = {verdict.item: store.path(verdict.image).read_bytes() for verdict in base}
    everything, rows = list(base), rows_with_first(base, base)
    for method, erasure in tried.items():
        found = bench.verdicts(task, method, erasure)
        same = {v.item: store.path(v.image).read_bytes() == original[v.item] for v in found}
        rows += rows_with_first(found, base)
        rows.append(replace(identical_row(found, same), protocol=rows[0].protocol))
        everything += found
    write_rows(task.name, options.model, rows, options.out)
    print(to_markdown([one for one in rows if one.judge != "none"], title=task.name))
    page = build_report(everything, store, title=f"Five concepts by strength, {options.model}")
    for file in page.write(bench.work / "strength"):
        print(file)
    sheet = sheet_of(everything, [BASE, *list(tried)[: len(STRENGTHS)]], store)
    sheet.quantize().save(bench.work / "strength" / "fading.png", optimize=True)


def rows_with_first(verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> list[Row]:
    """Mean, worst, and how often the first concept is seen when named."""
    rows, first = figures_of(verdicts, base), verdicts[0].concept
    alone = summarise([v for v in verdicts if v.concept == first], base)
    own = [row for row in alone if row.concept == first and row.metric == "acc_e"]
    return rows + [replace(row, protocol=rows[0].protocol) for row in own]


def sheet_of(verdicts: Sequence[Verdict], methods: Sequence[str], store: ImageStore) -> Image.Image:
    """Two pictures of every concept from left to right, a row a method, at equal seeds."""
    named = {(v.method, v.item): v for v in verdicts if v.group == "target"}
    of: dict[str, list[str]] = {}
    for v in verdicts:
        if (methods[0], v.item) in named and v.item not in of.setdefault(v.concept, []):
            of[v.concept].append(v.item)
    items = [item for own in of.values() for item in own[:2]]
    rows = [
        [store.load(named[method, item].image).resize((SIDE, SIDE)) for item in items]
        for method in methods
    ]
    step = SIDE + 4
    sheet = Image.new("RGB", (len(items) * step, len(methods) * step), "white")
    for y, row_of in enumerate(rows):
        for x, picture in enumerate(row_of):
            sheet.paste(picture, (x * step + 2, y * step + 2))
    return sheet


def identical_row(verdicts: Sequence[Verdict], same: Mapping[str, bool]) -> Row:
    first = verdicts[0]
    pictures = {v.item: v for v in verdicts if v.judge == first.judge}
    figure = rate([*pictures.values()], lambda v: same[v.item])
    return replace(row(first, "identical", figure), concept="mean", judge="none")
