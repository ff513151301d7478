"""Erasures as switches: one more, one less, by halves, and from a file in plain diffusers.

    python benchmarks/switches.py                    # after many.py, whose artifacts it uses
    python benchmarks/switches.py --model emoji-flux

- ``many-switch``: 25 concepts merged, then 26, then 24. The rows of the concepts in all three are
  called ``others``; the one that ``comes`` and the one that ``goes`` have rows of their own.
- ``many-strength``: five merged, at strengths 0 to 1; and with the first alone at a half.
- ``many-file``: ten merged and saved, then drawn by diffusers' own LoRA loader.

Rows, ``identical`` among them (the share of pictures that are the original's, byte for byte), go to
benchmarks/results; the curve and the fading pictures to <work>/<model>/strength.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.core.common import (
    BASE,
    RESULTS,
    SHOWN,
    add_model,
    load_model,
    row_file,
    under_one_protocol,
    write_rows,
)
from benchmarks.merging.many import asked, cost_rows, figures_of, parts_of, verdicts_of
from benchmarks.merging.prompts import concepts_of, task_of
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation import (
    AtStrength,
    Row,
    RunFolder,
    Verdict,
    at_strength,
    shipped_classifiers,
    summarise,
    to_markdown,
)
from trace_erasure.evaluation.metrics.per_concept import rate
from trace_erasure.evaluation.metrics.summary import row
from trace_erasure.evaluation.report.build import overview
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.trace.merge import merge
from trace_erasure.world import load_world

MERGED = 25
LESS = 12
"""The place in the list of the concept that is taken out."""
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
GRADED, FILED = 5, 10
SIDE = 76
"""Pixels of a picture on the sheet."""


@dataclass(frozen=True)
class PlainLora:
    """A LoRA file that diffusers itself loads and unloads; nothing of ours takes part."""

    file: Path
    name: str

    @contextmanager
    def attach(self, pipe: Any) -> Iterator[Any]:
        pipe.load_lora_weights(self.file)
        try:
            yield pipe
        finally:
            pipe.unload_lora_weights()


class Bench:
    """The model, the artifacts and the pictures that all three parts share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.world = options, load_world()
        self.pipe = load_model(options.model, options.device)
        self.judges = shipped_classifiers(options.device)
        self.concepts = concepts_of(self.world)[: MERGED + 1]
        spec, self.work = asked(options, self.concepts)
        self.parts = parts_of(self.pipe, spec, self.work).load()

    def task(self, name: str, size: int) -> Any:
        options = self.options
        return task_of(self.world, self.concepts[:size], options.images, options.steps, name)

    def see(self, task: Any, method: str, erasure: Any = None) -> list[Verdict]:
        return verdicts_of(
            self.pipe, task, method, self.judges, self.work, self.options.model, erasure
        )

    def merged(self, parts: Sequence[Erasure], **options: Any) -> tuple[Erasure, float]:
        started = time.perf_counter()
        erasure = merge(parts, self.pipe, **options)
        return erasure, time.perf_counter() - started

    def write(self, name: str, rows: Sequence[Row]) -> None:
        write_rows(row_file(name, self.options.model), rows, self.options.out)
        print(to_markdown([one for one in rows if one.judge != "none"], title=name))


# One more, one less ------------------------------------------------------------------------


def switch(bench: Bench) -> None:
    task = bench.task("many-switch", MERGED + 1)
    names = [concept.phrase for concept in bench.concepts]
    comes, goes = names[MERGED], names[LESS]
    lists = {
        "25": bench.parts[:MERGED],
        "one more": bench.parts,
        "one less": [part for i, part in enumerate(bench.parts[:MERGED]) if i != LESS],
    }
    base = bench.see(task, BASE)
    rows: list[Row] = _by_role(base, base, comes, goes)
    for method, parts in lists.items():
        erasure, took = bench.merged(parts)
        rows += _by_role(bench.see(task, method, erasure), base, comes, goes)
        rows += cost_rows(rows[-1], len(parts), {"seconds_merge": took})
    bench.write(task.name, rows)


def _by_role(
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


# By halves ---------------------------------------------------------------------------------


def strength(bench: Bench) -> None:
    task = bench.task("many-strength", GRADED)
    parts = bench.parts[:GRADED]
    whole, _ = bench.merged(parts)
    dimmed, _ = bench.merged(parts, strengths=[0.5, *[1.0] * (GRADED - 1)])
    tried: dict[str, Any] = {at_strength("trace", s): AtStrength(whole, s) for s in STRENGTHS}
    tried["first at a half"] = dimmed
    base = bench.see(task, BASE)
    store = RunFolder(bench.work).images
    original = {verdict.item: store.path(verdict.image).read_bytes() for verdict in base}
    everything, rows = list(base), _with_first(base, base)
    for method, erasure in tried.items():
        found = bench.see(task, method, erasure)
        same = {v.item: store.path(v.image).read_bytes() == original[v.item] for v in found}
        rows += _with_first(found, base)
        rows.append(replace(_identical(found, same), protocol=rows[0].protocol))
        everything += found
    bench.write(task.name, rows)
    page = overview(everything, store, title=f"Five concepts by strength, {bench.options.model}")
    for file in page.write(bench.work / "strength"):
        print(file)
    sheet = fading(everything, [BASE, *list(tried)[: len(STRENGTHS)]], store)
    sheet.quantize().save(bench.work / "strength" / "fading.png", optimize=True)


def _with_first(verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> list[Row]:
    """Mean, worst, and how often the first concept is seen when named."""
    rows, first = figures_of(verdicts, base), verdicts[0].concept
    alone = summarise([v for v in verdicts if v.concept == first], base)
    own = [row for row in alone if row.concept == first and row.metric == "acc_e"]
    return rows + [replace(row, protocol=rows[0].protocol) for row in own]


def fading(verdicts: Sequence[Verdict], methods: Sequence[str], store: ImageStore) -> Image.Image:
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


def _identical(verdicts: Sequence[Verdict], same: Mapping[str, bool]) -> Row:
    first = verdicts[0]
    pictures = {v.item: v for v in verdicts if v.judge == first.judge}
    figure = rate([*pictures.values()], lambda v: same[v.item])
    return replace(row(first, "identical", figure), concept="mean", judge="none")


# From a file -------------------------------------------------------------------------------


def from_file(bench: Bench) -> None:
    task = bench.task("many-file", FILED)
    erasure, _ = bench.merged(bench.parts[:FILED])
    file = erasure.save(bench.work / task.name)
    base = bench.see(task, BASE)
    rows = figures_of(base, base)
    for method, how in {
        "trace": erasure,
        "plain diffusers": PlainLora(file, f"plain-{erasure.name}"),
    }.items():
        rows += figures_of(bench.see(task, method, how), base)
    bench.write(task.name, rows)


def main() -> None:
    verbs = {"switch": switch, "strength": strength, "file": from_file}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *verbs], default=[])
    add_model(parser)
    parser.add_argument("--finetune", action="store_true", help="artifacts of both stages")
    parser.add_argument("--images", type=int, default=20, help="of every concept")
    parser.add_argument("--steps", type=int, default=12, help="of the sampler")
    parser.add_argument("--work", type=Path, default=Path("runs/many"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    bench = Bench(options)
    for name in options.parts or verbs:
        verbs[name](bench)


if __name__ == "__main__":
    main()
