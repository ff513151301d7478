"""Erases and measures for a published evaluation; a run that was broken off goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.base import Method
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.runs.run_folder import RunFolder
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline.fingerprint import digest_of, fingerprint
from trace_erasure.reproduce.erased import concepts_of
from trace_erasure.reproduce.recipe import Recipe
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.progress import progress

BASE = "base"


@dataclass(frozen=True)
class Reproduction:
    """One evaluation on one model.

    Attributes:
        folder: erasures, pictures and verdicts.
        seed: of every training.
    """

    recipe: Recipe
    task: Task
    judges: Sequence[Evaluator]
    pipe: Any
    model: str
    folder: Path
    seed: int = 0
    batch: int = 8

    def run(self, methods: Mapping[str, Method]) -> list[Verdict]:
        """The verdicts of the original model and of every method."""
        work = RunFolder(self.folder)
        how: dict[str, Any] = dict(model=self.model, batch=self.batch)
        found = work.measure(self.pipe, self.task, self.judges, method=BASE, **how) or []
        steps = [(name, concept) for name in methods for concept in self.task.concepts]
        for name, concept in progress(steps, desc=self.recipe.name, unit="erasure"):
            erasure = self._erasure(name, methods[name], concept)
            part = self.task.subset([concept])
            found += (
                work.measure(
                    self.pipe,
                    part,
                    self.judges,
                    method=name,
                    seed=self.seed,
                    erasure=erasure,
                    **how,
                )
                or []
            )
        return found

    def _erasure(self, name: str, method: Method, concept: str) -> Erasure:
        """The erasure of an earlier run, or a new one, which is kept.

        Its file is named by everything that decides it, so that no other settings are mistaken for
        these.
        """
        concepts = concepts_of(self.recipe, self.task, concept)
        decides = [method, concepts, fingerprint(self.pipe), self.seed]
        file = self.folder / "erasures" / f"{name}-{digest_of(decides)}.safetensors"
        if file.is_file():
            return Erasure.load(file)
        make_folder(file.parent)
        erasure = method.erase(self.pipe, concepts, seed=self.seed, workdir=file.parent)
        erasure.save(file)
        return erasure
