"""One model with its erasures under attack, for benchmarks/attacks.py: what is run, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import Image

from attack_plan import Unit, budget_of, cases_of
from bench import erasure_file, erasure_for
from common import BASE
from trace_erasure import embedded
from trace_erasure.attacks import unknown
from trace_erasure.attacks.arena import Arena
from trace_erasure.attacks.budget import Budget, Ledger
from trace_erasure.attacks.outcome import Outcome, read_outcomes
from trace_erasure.attacks.protocol import run_attack
from trace_erasure.attacks.table import find
from trace_erasure.attacks.target import Target
from trace_erasure.denoiser import Denoiser
from trace_erasure.erasure import Erasure
from trace_erasure.evaluate import RunFolder, Task, Verdict, load_task
from trace_erasure.evaluate.judges import group_of
from trace_erasure.methods.method import Method
from trace_erasure.world import load_world
from variants import key_of

TASK = "objects"


def sees(judge: Any, label: str) -> Callable[[Sequence[Image.Image]], list[bool]]:
    """Whether ``label`` is the judge's best in its group."""
    group = [i for i, other in enumerate(judge.labels) if group_of(other) == group_of(label)]
    where = group.index(judge.labels.index(label))

    def detect(images: Sequence[Image.Image]) -> list[bool]:
        return (judge.classify(images)[:, group].argmax(1) == where).tolist()

    return detect


def told(erasure: Erasure) -> tuple[str, ...]:
    """Other words for the concept that the erasure was made with."""
    record = erasure.record
    concept = (record.get("concepts") or record["spec"]["concepts"])[0]
    return (*concept["synonyms"], *concept["descriptions"])


@contextmanager
def switched_off(pipe: Any, erasure: Erasure) -> Iterator[None]:
    """The original model, for as long as it lasts."""
    erasure.set_strength(pipe, 0.0)
    try:
        yield
    finally:
        erasure.set_strength(pipe, 1.0)


@dataclass
class Lab:
    """One model with its erasures, and what was found out about them."""

    pipe: Any
    judge: Any
    methods: Mapping[str, Method]
    options: Any

    @property
    def work(self) -> Path:
        return self.options.work / self.options.model

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
        cases = tuple(cases_of(unit, self.options))
        if unit.setting == "unknown":
            given = unknown.pictures(10, 64)
            own = (unknown.NAME,)
            return Target(*own, "object", cases, unknown.detect, own, pictures=given)
        synonyms = load_world().thing(unit.concept).synonyms
        unseen = tuple(word for word in synonyms if word not in told(erasure))
        forbidden = (unit.concept, *told(erasure), *synonyms)
        detect = sees(self.judge, f"subject/{unit.concept}")
        return Target(unit.concept, "object", cases, detect, forbidden, unseen)

    def file(self, unit: Unit) -> Path:
        entry, name = find(unit.attack), unit.attack
        if unit.setting == "random":  # the same for all attacks of this length
            name = f"random-{entry.length}{'-prefix' * entry.keeps_prompt}"
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
            keys = [(unit.setting, case.prompt, case.seed) for case in target.cases]
            return [done[key] for key in keys] if all(key in done for key in keys) else None
        if unit.setting == "original":
            return self.run(unit, target, budget, file, nullcontext)
        with erasure.attach(self.pipe):
            return self.run(unit, target, budget, file, lambda: switched_off(self.pipe, erasure))

    def run(
        self, unit: Unit, target: Target, budget: Budget, file: Path, undo: Callable[[], Any]
    ) -> list[Outcome]:
        entry = find(unit.attack)

        def make(ledger: Ledger) -> Arena:
            return Arena(
                Denoiser(self.pipe), target, ledger, steps=self.options.steps,
                guidance=embedded.GUIDANCE, undo=undo,
            )  # fmt: skip

        attack = entry.control if unit.setting == "random" else entry.run
        return run_attack(unit.attack, attack, make, target.cases, budget, unit.setting, file)

    def margins(
        self, method: str, by_concept: Mapping[str, Sequence[Outcome]]
    ) -> Iterator[tuple[float, float]]:
        """Recovery margin and success for every concept that was attacked."""
        for concept, outcomes in by_concept.items():
            erasure = self.erasure(method, concept, draw=False)
            if erasure is not None and outcomes:
                margin = erasure.record["certificate"]["recovery_margin"]
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
