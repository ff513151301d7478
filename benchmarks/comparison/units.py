"""What one process of a comparison does whole, and the parts of tasks that it is done on."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.comparison.cost import spent
from benchmarks.comparison.methods import seeded
from benchmarks.core.commit import commit
from benchmarks.core.erasures import erasure_for, key_of
from benchmarks.core.models import BASE, BLANK, controlled
from benchmarks.core.options import folder_of
from benchmarks.core.sharing import shared_out
from trace_erasure.baselines.base import Method
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    RunFolder,
    ScaledErasure,
    Task,
    Verdict,
    judges_for,
    load_task,
    method_at_strength,
    shipped_classifiers,
)
from trace_erasure.evaluation.tasks.task import GROUPS

DEV_OBJECTS = Path(__file__).parent / "dev-objects.yaml"
CATEGORIES = Path(__file__).parent / "categories"
HELD_OUT = {"styles": "sketch", "identities": "Samuel Achebe"}
"""Development concepts that are targets of a task; tests leave them out, but for ``CROSSED``."""
CROSSED = ("styles",)
"""Tasks with too few concepts to lose one: their development concept is tested with the settings
that the other development tasks choose by themselves, see ``settings.selected``."""
KEPT = 3
"""Retained prompts for every one of a group of erased prompts, where pictures are few."""


@dataclass(frozen=True)
class Unit:
    """One erasure of a task's concept, measured at some strengths; or a control of a whole task.

    Attributes:
        method: what rows call it; settings: None for a control.
    """

    task: Task
    method: str
    settings: Method | None = None
    seed: int = 0
    strengths: tuple[float, ...] = (1.0,)

    @property
    def erased(self) -> tuple[str, str]:
        """The kind of concept and its name: the same in ``dev-``, ``compare-`` and other tasks."""
        return self.task.name.rpartition("-")[2], self.task.concepts[0]

    @property
    def key(self) -> str:
        return self.method if self.settings is None else key_of(self.settings)

    @property
    def owner(self) -> tuple[object, ...]:
        if self.settings is None:
            return self.task.name, self.method
        return self.key, *self.erased, self.seed

    @property
    def title(self) -> str:
        names = ", ".join(self.task.concepts)
        return f"{self.task.name}, {self.method} ({self.key}), {names}, seed {self.seed}"


def measure(
    pipe: Any, unit: Unit, judges: list[Any], work: RunFolder, model: str, draw: bool
) -> list[Verdict] | None:
    """All verdicts of one unit, from its files where it was done before.

    They are kept by settings, which other names may have too, and come with the unit's own name.
    ``draw=False`` only looks for them; None where some are missing.
    """
    options: dict[str, Any] = dict(model=model, autocast=True)
    if unit.settings is None:
        with controlled(pipe, unit.method):
            return work.measure(pipe, unit.task, judges, method=unit.method, draw=draw, **options)

    def look(erasure: Any, draw: bool) -> list[Verdict] | None:
        found: list[Verdict] = []
        for strength in unit.strengths:
            method, attached = (
                method_at_strength(unit.key, strength),
                ScaledErasure(erasure, strength),
            )
            own: dict[str, Any] = dict(method=method, seed=unit.seed, erasure=attached, draw=draw)
            part = work.measure(pipe, unit.task, judges, **own, **options)
            if part is None:
                return None
            name = method_at_strength(unit.method, strength)
            found += [replace(verdict, method=name) for verdict in part]
        return found

    # What was measured is found by the erasure's name, which may outlive its file.
    run = unit.key, *unit.erased, unit.seed
    known = spent(work.folder, {run: unit.key}).get(run)
    found = look(Made(str(known["name"])), False) if known else None
    if found is None and draw:
        settings, seed = unit.settings, unit.seed
        found = look(erasure_for(pipe, unit.erased, unit.key, settings, seed, work.folder), True)
    return found


@dataclass(frozen=True)
class Made:
    """An erasure of which nothing is left but its name."""

    name: str


def units_of(
    task: Task,
    methods: Mapping[str, Method],
    seeds: Sequence[int] = (0,),
    controls: Iterable[str] = (BASE, BLANK),
    strengths: tuple[float, ...] = (1.0,),
) -> Iterator[Unit]:
    """The controls, then every method on every concept with every seed that makes a difference."""
    for control in controls:
        yield Unit(task, control)
    for name, method in methods.items():
        own = [*seeds] if seeded(method) else [*seeds][:1]
        for concept in task.concepts:
            for seed in own:
                yield Unit(task.subset([concept]), name, method, seed, strengths)


def verdicts_of(
    benchmark: str, options: Namespace, pipe: Any, units: Sequence[Unit]
) -> list[list[Verdict]] | None:
    """The verdicts of every unit, or None while other processes are at work."""
    work = RunFolder(folder_of(options))
    work.note(benchmark=benchmark, commit=commit())
    judges: dict[str, list[Any]] = {}
    for task in {unit.task.name: unit.task for unit in units}.values():
        named = judges_for(task) if task.judges else shipped_classifiers(options.device)
        judges[task.name] = [*named]
    return shared_out(
        units,
        options.shard,
        lambda unit, draw: measure(pipe, unit, judges[unit.task.name], work, options.model, draw),
    )


def development(per_group: int | None, concepts: Sequence[str] | None) -> list[Task]:
    """The development tasks, with only those of their concepts that are asked for."""
    tasks = [load_task(DEV_OBJECTS)]
    for name, concept in HELD_OUT.items():
        tasks.append(replace(load_task(name).subset([concept]), name=f"dev-{name}"))
    found = []
    for task in tasks:
        names = [name for name in task.concepts if concepts is None or name in concepts]
        if names:
            found.append(portion(task.subset(names), per_group))
    if not found:
        known = ", ".join(name for task in tasks for name in task.concepts)
        raise InputError(f"none of {concepts} is a development concept. They are: {known}.")
    return found


def tested(
    prefix: str,
    name: str,
    concepts: Sequence[str] | None,
    per_group: int | None,
    named: int | None = None,
) -> Task:
    """A task without the concept of ``HELD_OUT``, under a name of its own; see ``portion``.

    ``category-objects`` and its like are the tasks of ``CATEGORIES``, of the same concepts.
    """
    task = load_task(name if prefix != "category" else CATEGORIES / f"{name}.yaml")
    held = None if name in CROSSED else HELD_OUT.get(name)
    left = [concept for concept in task.concepts if concept != held]
    if prefix == "category" and concepts is not None:  # a house is of no kind that has a word
        concepts = [concept for concept in concepts if concept in task.concepts]
    chosen = portion(task.subset(left).subset(concepts), per_group, named)
    return replace(chosen, name=f"{prefix}-{name}")


def portion(task: Task, per_group: int | None, named: int | None = None) -> Task:
    """At most ``per_group`` pictures a group of erased prompts, ``KEPT`` times that of the others.

    Retained prompts are of many things, so a small group of them is a weak measurement. ``named``
    is another number for the group ``target``, whose rate is to be known best.
    """
    if per_group is None:
        return task
    most = {"target": named or per_group, "retain": KEPT * per_group}
    found = []
    for group in GROUPS:
        part = task.subset(per_group=most.get(group, per_group))
        found += [item for item in part.items if item.group == group]
    return replace(task, items=tuple(found))
