"""One model with its erasures under attack: what is run, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.attacks.plan import Unit, budget_of, cases_of
from benchmarks.core.erasures import erasure_file, erasure_for, key_of
from benchmarks.core.models import BASE
from benchmarks.core.options import folder_of
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks.outcomes import Outcome, read_outcomes
from trace_erasure.attacks.runner import outcome_name, run_setting
from trace_erasure.attacks.targets import Target, target_of, unknown_target
from trace_erasure.baselines.base import Method
from trace_erasure.evaluation import Item, RunFolder, Task, Verdict, detector_for, load_task
from trace_erasure.evaluation.runs.runner import precision
from trace_erasure.pipeline import shipped
from trace_erasure.world import load_world

TASK = "objects"


@dataclass
class Bench:
    """One model with its erasures, and the outcomes of attacks on them."""

    pipe: Any
    judge: Any
    methods: Mapping[str, Method]
    options: Any

    @property
    def work(self) -> Path:
        return folder_of(self.options)

    @property
    def precision(self) -> str:
        return precision(self.pipe, True)

    def key(self, method: str) -> str:
        if method == BASE:
            return BASE
        return key_of(self.methods[method])

    def erasure(self, method: str, concept: str, draw: bool = True) -> Erasure | None:
        """From an earlier run, or a new one; ``draw=False`` only looks for it."""
        method = next(iter(self.methods)) if method == BASE else method
        owner, key = (TASK, concept), self.key(method)
        if not draw and not erasure_file(owner, key, 0, self.work).exists():
            return None
        return erasure_for(self.pipe, owner, key, self.methods[method], 0, self.work)

    def target(self, unit: Unit, erasure: Erasure) -> Target:
        cases = cases_of(unit, self.options)
        if unit.setting == "unknown":
            return unknown_target(cases)
        shown = Item(unit.concept, 0, "target", unit.concept, (f"subject/{unit.concept}",))
        synonyms = load_world().thing(unit.concept).synonyms
        return target_of(erasure, cases, detector_for(self.judge, shown), synonyms=synonyms)

    def file(self, unit: Unit) -> Path:
        name = outcome_name(unit.attack, unit.setting)
        folder = self.work / f"{self.options.steps}-steps" / name
        return folder / f"{self.key(unit.method)}-{unit.concept}-{unit.setting}.jsonl"

    def outcomes(self, unit: Unit, draw: bool = True) -> list[Outcome] | None:
        """What became of all cases; ``draw=False`` only looks, and gives None where some lack."""
        budget, file = budget_of(unit.attack, self.options), self.file(unit)
        erasure = self.erasure(unit.method, unit.concept, draw)
        if erasure is None:
            return None
        target = self.target(unit, erasure)
        if unit.attack == "synonym" and unit.setting != "random" and not target.synonyms:
            return []  # the planner found every synonym by itself: none is unseen
        if not draw:
            done = read_outcomes(file, budget)
            keys = [(unit.setting, case.shown, case.seed) for case in target.cases]
            return [done[key] for key in keys] if all(key in done for key in keys) else None
        return run_setting(
            self.pipe, erasure, unit.attack, target, unit.setting, budget, file,
            steps=self.options.steps, guidance=shipped.GUIDANCE, bfloat16=True,
        )  # fmt: skip

    def margins(
        self, method: str, by_concept: Mapping[str, Sequence[Outcome]]
    ) -> Iterator[tuple[float, float]]:
        """Recovery margin and success for every concept that was attacked."""
        for concept, outcomes in by_concept.items():
            erasure = self.erasure(method, concept, draw=False)
            if erasure is not None and outcomes:
                assert erasure.record.certificate is not None
                margin = erasure.record.certificate.recovery_margin
                yield margin, fmean(one.first is not None for one in outcomes)

    def retained(self, method: str, concept: str, draw: bool = True) -> list[Verdict] | None:
        """What is still seen of a sample of everything else."""
        erasure = None if method == BASE else self.erasure(method, concept, draw)
        if method != BASE and erasure is None:
            return None
        task = kept_task(concept, self.options.retained)
        return RunFolder(self.work).measure(
            self.pipe, task, [self.judge], model=self.options.model, method=method,
            erasure=erasure, autocast=True, draw=draw,
        )  # fmt: skip


def kept_task(concept: str, count: int) -> Task:
    """A sample of everything but ``concept``: objects, styles and people."""
    task = load_task(TASK).subset([concept], count)
    kept = tuple(item for item in task.items if item.group == "retain")
    return replace(task, name="attack-retention", items=kept)
