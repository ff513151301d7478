"""What one process of ``erasure`` or ``stages`` does whole, and how it is measured."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.core.erasures import Owner, erasure_file, erasure_for, key_of
from benchmarks.core.models import BASE, BLANK, controlled, load_model
from benchmarks.core.options import folder_of
from benchmarks.core.sharing import shared_out
from benchmarks.erasure.lexicon_alone import LexiconAlone
from trace_erasure.baselines.base import Method
from trace_erasure.baselines.trace import Trace
from trace_erasure.config import FinetuneConfig
from trace_erasure.evaluation import (
    RunFolder,
    ScaledErasure,
    Task,
    Verdict,
    method_at_strength,
    random_drift,
    shipped_judges,
)

STAGES: dict[str, Method] = {
    "trace": Trace(),
    "both stages": Trace(finetune=FinetuneConfig()),
    "stage 2 only": Trace(closed_form=None, finetune=FinetuneConfig()),
    "reverse_cfg": Trace(finetune=FinetuneConfig(objective="reverse_cfg")),
    "margin": Trace(finetune=FinetuneConfig(objective="margin")),
}
LEXICON_ALONE = "lexicon alone"
METHODS = {**STAGES, LEXICON_ALONE: LexiconAlone()}
DRIFT = "drift"
"""A control like ``BASE`` and ``BLANK``, each drawn once for all concepts of a task: as large a
change as TRACE's of the task's first concept, in a random direction."""
BORROWED = {"retention": ("hazard", "weapons"), "strength": ("objects", "fox")}
"""Tasks that erase nothing of their own, and the erasure that they use. For retention it is the
largest edit: all weapons at once."""
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5)


@dataclass(frozen=True)
class Unit:
    """An erasure of a task's concept, or a control of a task.

    Attributes:
        owner: task and concept whose erasure is used; units of one owner belong to one process.
    """

    task: Task
    method: str
    concepts: tuple[str, ...]
    owner: Owner

    @property
    def title(self) -> str:
        return f"{self.task.name}, {self.method}, {', '.join(self.concepts)}"


def units_of(tasks: Iterable[Task], methods: Sequence[str], prefix: str = "") -> Iterator[Unit]:
    """All the work, in the order in which a single process does it.

    Tasks whose names have ``prefix`` before them use the erasures of those without it. Only
    ``trace`` is measured on the tasks of ``BORROWED``.
    """
    for task in tasks:
        for control in (BASE, BLANK):
            yield Unit(task, control, task.concepts, (task.name, control))
        for i, name in enumerate(task.concepts):
            owner = BORROWED.get(task.name, (task.name.removeprefix(prefix), name))
            if DRIFT in methods and i == 0:
                yield Unit(task, DRIFT, task.concepts, owner)
            for method in methods:
                if method in METHODS and (task.name not in BORROWED or method == "trace"):
                    yield Unit(task.subset([name]), method, (name,), owner)


@dataclass(frozen=True)
class Bench:
    """One model with its judges and the folder that keeps what was done."""

    pipe: Any
    judges: Sequence[Any]
    work: RunFolder
    model: str
    seed: int = 0

    @classmethod
    def of(cls, options: Namespace) -> Bench:
        work = RunFolder(folder_of(options))
        pipe = load_model(options.model, options.device)
        return cls(pipe, shipped_judges(options.device), work, options.model, options.seed)

    def measure(self, unit: Unit, draw: bool = True) -> list[Verdict] | None:
        """All verdicts of one unit, from its files where it was done before.

        ``draw=False`` only looks for them; None where some are missing.
        """
        how: dict[str, Any] = dict(model=self.model, autocast=True, draw=draw)
        if unit.method in (BASE, BLANK):
            with controlled(self.pipe, unit.method):
                return self._verdicts(unit, method=unit.method, **how)
        settings = METHODS["trace" if unit.method == DRIFT else unit.method]
        key, folder = key_of(settings), self.work.folder
        if not draw and not erasure_file(unit.owner, key, self.seed, folder).exists():
            return None
        erasure = erasure_for(self.pipe, unit.owner, key, settings, self.seed, folder)
        if unit.method == DRIFT:
            erasure = random_drift(erasure, self.seed)
        several = unit.task.name == "strength" and unit.method != DRIFT
        found: list[Verdict] = []
        for strength in STRENGTHS if several else (1.0,):
            method, attached = (
                method_at_strength(unit.method, strength),
                ScaledErasure(erasure, strength),
            )
            part = self._verdicts(unit, method=method, seed=self.seed, erasure=attached, **how)
            if part is None:
                return None
            found += part
        return found

    def _verdicts(self, unit: Unit, **how: Any) -> list[Verdict] | None:
        return self.work.measure(self.pipe, unit.task, self.judges, **how)

    def by_task(self, units: Sequence[Unit], options: Namespace) -> dict[str, list[Verdict]] | None:
        """The verdicts of every task, or None while other processes are at work."""
        found = shared_out(units, options.shard, self.measure)
        if found is None:
            return None
        of_task: dict[str, list[Verdict]] = {unit.task.name: [] for unit in units}
        for unit, part in zip(units, found, strict=True):
            of_task[unit.task.name] += part
        return of_task
