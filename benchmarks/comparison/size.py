"""What `make bench-compare` takes, counted from its units and measured seconds. Runs nothing.

    python -m benchmarks compare-size

Trainings, closed forms and pictures are counted by the code that a run would go through, with the
seconds of ``SECONDS`` for each. A run that was stopped takes less, since nothing is made twice.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.comparison import ablation, sweep, table
from benchmarks.comparison.grid import GRID
from benchmarks.comparison.methods import COMPARED, configured, seeded
from benchmarks.comparison.units import Unit, development, units_of
from benchmarks.core.erasures import key_of
from benchmarks.core.models import BASE
from benchmarks.scenes import gate
from benchmarks.scenes.methods import methods_for
from trace_erasure.baselines.base import Method

PROCESSES = 2
MOST_HOURS = 12.0
SECONDS: Mapping[str, Mapping[str, float]] = {
    "emoji-sd": {"training": 65.0, "closed form": 3.0, "picture": 0.15},
    "emoji-flux": {"training": 65.0, "closed form": 3.0, "picture": 0.15},
    "emoji-scenes": {"training": 195.0, "closed form": 4.0, "picture": 0.4},
}
"""Of one process of one thread beside another. Trainings are those of the method with the most
states, TRACE's both stages; of emoji-scenes those with state prompts. All were measured on two
cores in runs of these benchmarks, and read off ``seconds.jsonl`` and the ledgers of runs."""
LEFT_OUT = {"emoji-sd": ("eraseanything",), "emoji-flux": ("mace",), "emoji-scenes": ()}
"""Methods that do not support the family."""
PER_GROUP_SCENES = 24
"""As the Makefile has it."""


@dataclass(frozen=True)
class Step:
    """One benchmark on one model: what it makes and draws."""

    model: str
    name: str
    trainings: int
    closed_forms: int
    pictures: int

    @property
    def seconds(self) -> float:
        """Of one process."""
        took = SECONDS[self.model]
        made = self.trainings * took["training"] + self.closed_forms * took["closed form"]
        return made + self.pictures * took["picture"]


def step_of(model: str, name: str, units: Iterable[Unit], known: set[tuple[object, ...]]) -> Step:
    """The size of ``units``; ``known`` has the erasures of earlier steps and gets those of this.

    Weapons are eight words, which two methods train one by one: each counts as eight trainings.
    """
    trainings = closed_forms = pictures = 0
    for unit in units:
        pictures += len(unit.task.items) * len(unit.strengths)
        made = (unit.key, *unit.erased, unit.seed)
        if unit.settings is None or made in known:
            continue
        known.add(made)
        if trains(unit.settings):
            one_by_one = unit.erased[0] == "hazard" and unit.method in ("mace", "ant-multi")
            trainings += 8 if one_by_one else 1
        else:
            closed_forms += 1
    return Step(model, name, trainings, closed_forms, pictures)


def trains(method: Method) -> bool:
    """Whether a method goes through steps of an optimiser; only SPEED draws and does not."""
    return seeded(method) and not key_of(method).startswith("speed")


def steps(model: str) -> list[Step]:
    """The steps of one model, in the order of the Makefile."""
    if model == "emoji-scenes":
        return [step_of(model, "scenes", _scene_units(), set())]
    methods = {name: m for name, m in COMPARED.items() if name not in LEFT_OUT[model]}
    known: set[tuple[object, ...]] = set()
    options = Namespace(
        tasks=[*table.KINDS], concepts=None, per_group=table.PER_GROUP, named=table.NAMED
    )
    tasks, curves = table.tasks_of(options)
    tried = [
        unit
        for task in development(sweep.PER_GROUP, None)
        for name in methods
        for overrides in GRID[name]
        for unit in units_of(task, {name: configured(name, overrides)}, controls=())
    ]
    parts = Namespace(
        tasks=[*ablation.ABLATED], variants=[*ablation.ABLATION], concepts=None,
        per_group=ablation.PER_GROUP,
    )  # fmt: skip
    compared = table.units_for(tasks, curves, {None: methods}, table.SEEDS)
    return [
        step_of(model, "sweep", tried, known),
        step_of(model, "compare", compared, known),
        step_of(model, "ablation", ablation.units_for(parts), known),
    ]


def _scene_units() -> Iterable[Unit]:
    options = Namespace(
        tasks=[*gate.TASKS], concepts=None, development=False, per_group=PER_GROUP_SCENES
    )
    for task in gate.tasks_of(options):
        for concept in task.concepts:
            one = task.subset([concept])
            yield from units_of(one, methods_for(one, gate.METHODS, {}), (0,), (BASE,))


def hours(every: Iterable[Step]) -> float:
    """Of all processes side by side."""
    return sum(step.seconds for step in every) / 3600 / PROCESSES


def run(_: Namespace) -> None:
    every = [step for model in SECONDS for step in steps(model)]
    print(f"{'model':13} {'step':9} trainings closed forms pictures hours of one process")
    for step in every:
        print(
            f"{step.model:13} {step.name:9} {step.trainings:9} {step.closed_forms:12} "
            f"{step.pictures:8} {step.seconds / 3600:6.1f}"
        )
    print(f"{hours(every):.1f} hours with {PROCESSES} processes, of {MOST_HOURS:.0f}.")
