"""What the benchmarks of merging share: one model with its judges, options, and figures."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.core.commit import commit
from benchmarks.core.models import controlled, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import over_concepts
from benchmarks.merging.prompts import concepts_of, task_of
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.config import EraseConfig, FinetuneConfig
from trace_erasure.evaluation import Row, RunFolder, Task, Verdict, shipped_classifiers, summarise
from trace_erasure.trace.merge import merge
from trace_erasure.world import load_world


def picture_options(parser: ArgumentParser, images: int = 20, least: int = 1) -> None:
    def count(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is no number of pictures; give {least} or more")
        return int(text)

    parser.add_argument("--images", type=count, default=images, help="of every concept")
    parser.add_argument("--steps", type=int, default=12, help="of the sampler")


def merging_options(parser: ArgumentParser) -> None:
    """The options of all that merge the concepts of ``prompts.concepts_of``."""
    picture_options(parser, least=2)  # one in a trained wording, one in another
    parser.add_argument("--finetune", action="store_true", help="artifacts of both stages")


@dataclass(frozen=True)
class Bench:
    """One model with its judges, and the folder of what was done."""

    pipe: Any
    judges: list[Any]
    model: str
    work: Path

    @classmethod
    def of(cls, options: Namespace, folder: Path) -> Bench:
        RunFolder(folder).note(benchmark="merging", commit=commit())
        judges = shipped_classifiers(options.device)
        return cls(load_model(options.model, options.device), judges, options.model, folder)

    def verdicts(self, task: Task, method: str, erasure: Any = None) -> list[Verdict]:
        """All verdicts of one method, from their file where an earlier run has made them."""
        how: dict[str, Any] = dict(model=self.model, method=method, erasure=erasure, autocast=True)
        with controlled(self.pipe, method):
            return RunFolder(self.work).measure(self.pipe, task, self.judges, **how) or []

    def merged(self, parts: Sequence[Erasure], **options: Any) -> tuple[Erasure, float]:
        """The artifacts in one, and the seconds that it took."""
        started = time.perf_counter()
        erasure = merge(parts, self.pipe, **options)
        return erasure, time.perf_counter() - started


def artifacts_folder(options: Namespace) -> Path:
    """Artifacts of stage 1 alone, and of both, are kept apart."""
    return folder_of(options) / ("both-stages" if options.finetune else "stage-1")


def spec_of(options: Namespace, count: int) -> EraseConfig:
    """What each artifact of the first ``count`` concepts is made by."""
    concepts = tuple(concepts_of(load_world())[:count])
    return EraseConfig(concepts, finetune=FinetuneConfig() if options.finetune else None)


def merging_task(options: Namespace, spec: EraseConfig, name: str | None = None) -> Task:
    """Pictures of every concept of ``spec``, and of all that remains."""
    return task_of(load_world(), spec.concepts, options.images, options.steps, name)


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
