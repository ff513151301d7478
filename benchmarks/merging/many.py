"""Many concepts of mixed kinds erased at once: how far the method carries, and what it costs.

    python benchmarks/many.py                                # 1, 5, 10, 25 and 50; resumes
    python benchmarks/many.py --model emoji-flux
    python benchmarks/many.py --sizes 5 25 --finetune --images 10

Concepts are erased one by one, an artifact each, and merged; a longer list uses the artifacts of
a shorter one. Controls: the plain sum of the artifacts, ridge only, MACE's fusion of the same
artifacts, and UCE for all at once with its published settings. Rows, for the mean and the worst
concept, are written to benchmarks/results/many-<n>.jsonl.

``--parts i/n`` makes every n-th artifact and stops: for processes side by side, before the rest.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.core.common import (
    BASE,
    BLANK,
    RESULTS,
    add_model,
    controlled,
    load_model,
    metered,
    over_concepts,
    row_file,
    write_rows,
)
from benchmarks.merging.prompts import concepts_of, task_of
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.base import Job, refuse_joint
from trace_erasure.baselines.lora_fusion import fused
from trace_erasure.baselines.mace import MACE
from trace_erasure.baselines.uce import UCE
from trace_erasure.concepts.captions import captions_or_broad
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.resolve import ResolvedRequest
from trace_erasure.config import EraseConfig, FinetuneConfig, MergeConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    Row,
    RunFolder,
    Task,
    Verdict,
    shipped_classifiers,
    summarise,
    to_markdown,
)
from trace_erasure.math.lowrank import LowRank, add
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.trace.merge import merge
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.sharding import Shard, parse_shard
from trace_erasure.world import load_world

SIZES = (1, 5, 10, 25, 50)


@dataclass(frozen=True)
class Parts:
    """The artifacts of a list of concepts, and what it took to make them.

    Attributes:
        files: one a concept.
        seconds: of all together, each made by itself.
    """

    files: tuple[Path, ...]
    seconds: float

    def load(self) -> list[Erasure]:
        return [Erasure.load(file) for file in self.files]


def plain_sum(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """All artifacts on top of each other, as loading every LoRA would do."""
    return _one(parts, add([part.delta for part in parts]), "Sum")


def mace_fusion(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """MACE's closed form, which gives one change that acts on every concept's prompts as its own
    artifact does, with the weights that MACE has published."""
    denoiser, settings = Denoiser(pipe), MACE()
    refuse_joint(denoiser, "MACE's fusion")
    concepts = tuple(share.concept for part in parts for share in part.merge_statistics)
    job = Job(
        denoiser, ResolvedRequest(EraseConfig(concepts), (), ()), captions_or_broad(None), 0, None
    )
    changes = [part.delta for part in parts]
    one = fused(job, changes, penalty=settings.penalty, ordinary=settings.ordinary)
    return _one(parts, one, "Fusion")


def uce(pipe: Any, parts: Sequence[Erasure]) -> Erasure:
    """UCE of the same concepts, from their names alone."""
    named = [share.concept for part in parts for share in part.merge_statistics]
    return UCE().erase(pipe, [Concept(concept.phrase, kind=concept.kind) for concept in named])


def _one(parts: Sequence[Erasure], delta: dict[str, LowRank], title: str) -> Erasure:
    short = {path: change.truncate(min(change.shape))[0] for path, change in delta.items()}
    return Erasure(parts[0].family, parts[0].base, short, {}, {"title": title})


METHODS: dict[str, Callable[[Any, Sequence[Erasure]], Erasure]] = {
    "trace": lambda pipe, parts: merge(parts, pipe),
    "ridge only": lambda pipe, parts: merge(parts, pipe, settings=MergeConfig(mode="ridge")),
    "plain sum": plain_sum,
    "mace fusion": mace_fusion,
    "uce": uce,
}
ALONE = ("uce",)
"""Methods that take no artifacts: their cost is their own."""


def verdicts_of(
    pipe: Any,
    task: Task,
    method: str,
    judges: list,
    work: Path,
    model: str,
    erasure: Any = None,
) -> list[Verdict]:
    """All verdicts of one method, from their file where an earlier run has made them."""
    how: dict[str, Any] = dict(model=model, method=method, erasure=erasure, autocast=True)
    with controlled(pipe, method):
        return RunFolder(work).measure(pipe, task, judges, **how) or []


def asked(options: argparse.Namespace, concepts: Sequence[Concept]) -> tuple[EraseConfig, Path]:
    """What each artifact is made by, and the folder that keeps what comes of it."""
    spec = EraseConfig(tuple(concepts), finetune=FinetuneConfig() if options.finetune else None)
    work = options.work / options.model / ("both-stages" if options.finetune else "stage-1")
    work.mkdir(parents=True, exist_ok=True)
    return spec, work


def parts_of(pipe: Any, spec: EraseConfig, work: Path, shard: Shard = (0, 1)) -> Parts:
    """One artifact a concept, each made by itself: the same whatever it is merged with later."""
    found: list[Path] = []
    spent = 0.0
    for number, concept in enumerate(spec.concepts):
        if number % shard[1] != shard[0]:
            continue
        started = time.perf_counter()
        (file,) = erase_each(pipe, replace(spec, concepts=(concept,)), work / "parts")
        log = file.with_suffix(".seconds")
        # One that was made with other settings is replaced, and what it took with it.
        if not log.exists() or log.stat().st_mtime < file.stat().st_mtime:
            with atomic(log) as partial:
                partial.write_text(f"{time.perf_counter() - started:.2f}", "utf-8")
        found.append(file)
        spent += float(log.read_text("utf-8"))
    return Parts(tuple(found), spent)


def figures_of(verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> list[Row]:
    """Mean and worst. What is kept is the same for all concepts, so its figures are of pictures:
    over concepts they would seem to have no spread."""
    rows = summarise(verdicts, base)
    own = {(r.judge, r.metric): r for r in rows if r.concept not in ("mean", "worst")}
    return [
        replace(own[row.judge, row.metric], concept=row.concept, protocol=row.protocol)
        if row.metric in ("acc_s", "acc_s_relative")
        else row
        for row in over_concepts(rows)
    ]


def cost_rows(like: Row, size: int, figures: dict[str, float]) -> list[Row]:
    """Figures that no judge gives, of all ``size`` concepts together."""
    blank = dict(concept="all", judge="none", numerator=None, n=size)
    return [
        replace(like, metric=metric, value=round(value, 2), low=value, high=value, **blank)
        for metric, value in figures.items()
    ]


def measure(
    pipe: Any, task: Task, parts: Parts, judges: list, work: Path, options: argparse.Namespace
) -> Iterator[Row]:
    """Rows of the controls and of all methods at one size."""
    size = len(parts.files)
    base = verdicts_of(pipe, task, BASE, judges, work, options.model)
    yield from figures_of(base, base)
    blank = verdicts_of(pipe, task, BLANK, judges, work, options.model)
    yield from figures_of(blank, base)
    artifacts = parts.load()
    for method in options.methods:
        try:
            with metered() as spent:
                erasure = METHODS[method](pipe, artifacts)
        except InputError as error:
            print(f"{method} is left out: {error}")
            continue
        found = verdicts_of(pipe, task, method, judges, work, options.model, erasure)
        measured = figures_of(found, base)
        yield from measured
        file = erasure.save(work / f"{task.name}-{method.replace(' ', '-')}")
        figures = {
            "seconds": spent["seconds"] + (0 if method in ALONE else parts.seconds),
            "seconds_merge": spent["seconds"],
            "added_mib_merge": spent.get("added_mib", math.nan),
            "artifact_kb": sum(one.stat().st_size for one in parts.files) / 1000 / size,
            "merged_kb": file.stat().st_size / 1000,
        }
        yield from cost_rows(measured[0], size, figures)
        if merged := erasure.record.get("merged"):
            kept = {"size": size, "method": method, **in_short(merged)}
            with (work / "capacity.jsonl").open("a") as log:
                log.write(json.dumps(kept) + "\n")


def in_short(merged: dict[str, Any]) -> dict[str, Any]:
    """What was decided in a merge, without the figures of every concept."""
    streams = merged["capacity"].items()
    names = ("mode", "directions", "needed", "collateral", "most")
    return {
        "cross_talk": merged["cross_talk"],
        **{name: {key: found[key] for key in names} for name, found in streams},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_model(parser)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, choices=range(1, 51))
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--finetune", action="store_true", help="artifacts of both stages")
    parser.add_argument("--images", type=int, default=20, help="of every concept")
    parser.add_argument("--steps", type=int, default=12, help="of the sampler")
    parser.add_argument("--parts", type=parse_shard, help="i/n: only make every n-th artifact")
    parser.add_argument("--work", type=Path, default=Path("runs/many"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pipe, judges = load_model(options.model, options.device), shipped_classifiers(options.device)
    world = load_world()
    everything, work = asked(options, concepts_of(world)[: max(options.sizes)])
    if options.parts:
        parts_of(pipe, everything, work, options.parts)
        return
    for size in options.sizes:
        spec = replace(everything, concepts=everything.concepts[:size])
        parts = parts_of(pipe, spec, work)
        task = task_of(world, spec.concepts, options.images, options.steps)
        rows = list(measure(pipe, task, parts, judges, work, options))
        write_rows(row_file(task.name, options.model), rows, options.out)
        print(to_markdown([row for row in rows if row.judge != "none"], title=task.name))


if __name__ == "__main__":
    main()
