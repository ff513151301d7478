"""TRACE with the world's word list and with the lexicon alone, on objects drawn by lot and others.

    python -m benchmarks words --model emoji-sd
    python -m benchmarks words --model emoji-flux
    python -m benchmarks words --tasks objects styles identities    # the ten have test synonyms

Rows go to <out>/<model>/words-<task>.jsonl, task ``words-<task>``; ``lexicon_alone.py`` describes
the second method. ``drawn-objects.yaml`` holds the objects that ``drawn`` gives: neither the ten of
``objects`` nor any that settings were chosen on. ``PER_GROUP`` pictures of each kind of wording,
and ``RETAINED`` of everything else, which are other ones for each concept, keep the drawn objects
of both models within 25 minutes of a core.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks.core.commit import commit
from benchmarks.core.models import BLANK
from benchmarks.core.rows import over_concepts
from benchmarks.erasure.tasks import write
from benchmarks.erasure.units import LEXICON_ALONE, Bench, units_of
from trace_erasure.evaluation import Row, Task, load_task
from trace_erasure.world import load_world

DRAWN_TASK = "drawn-objects"
TASKS = (DRAWN_TASK, "objects", "styles", "identities")
METHODS = ("trace", LEXICON_ALONE)
PREFIX = "words-"
DRAWN, SEED = 20, 20261201
SEEN_BEFORE = ("panda", "tulip", "guitar")
"""Objects that settings were chosen on; weapons are an experiment of their own."""
PER_GROUP, RETAINED = 4, 8


def drawn() -> list[str]:
    """The names in ``drawn-objects.yaml``, in the order of the world."""
    world = load_world()
    apart = {*load_task("objects").concepts, *SEEN_BEFORE}
    left = [t.name for t in world.objects if t.name not in apart and t.group != "weapons"]
    found = set(Random(SEED).sample(left, DRAWN))
    return [name for name in left if name in found]


def task_named(name: str, per_group: int) -> Task:
    """One of ``TASKS``, with few pictures."""
    at = Path(__file__).with_name(f"{name}.yaml")
    whole = load_task(str(at) if name == DRAWN_TASK else name)
    items = []
    for concept in whole.concepts:
        few = whole.subset([concept], per_group).items
        items += [item for item in few if item.group != "retain"]
        others = [item for item in whole.of(concept) if item.group == "retain"]
        items += Random(concept).sample(others, RETAINED)
    return replace(whole, name=PREFIX + name, items=tuple(items))


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[DRAWN_TASK], choices=TASKS)
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=METHODS)
    parser.add_argument("--per-group", type=int, default=PER_GROUP)
    parser.add_argument("--seed", type=int, default=0)


def run(options: Namespace) -> None:
    tasks = [task_named(name, options.per_group) for name in options.tasks]
    bench = Bench.of(options)
    bench.work.note(benchmark="words", commit=commit())
    units = [u for u in units_of(tasks, options.methods, PREFIX) if u.method != BLANK]
    found = bench.by_task(units, options)
    if found is not None:
        write(found, options.model, options.out, shown)


def shown(rows: list[Row]) -> list[Row]:
    """The means over concepts, each kind of wording apart."""
    kinds = ("acc_synonym", "acc_template", "acc_pair")
    means = [row for row in rows if row.concept == "mean" and row.metric in kinds]
    return [*over_concepts(rows), *means]
