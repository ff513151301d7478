"""The TRACE benchmark on the embedded world: every figure of the README comes from here.

    python benchmarks/bench.py                    # everything; resumes when killed
    python benchmarks/bench.py --small            # the subset SMALL below, with a report
    python benchmarks/bench.py --stages           # what each stage and objective buys, on STAGES
    python benchmarks/bench.py --tasks objects --methods trace --concepts fox cat
    python benchmarks/bench.py --shard 0/2 &      # two processes on one --work folder
    python benchmarks/bench.py --shard 1/2

Erasures, pictures and verdicts are kept under --work, so a rerun goes on where it was. Rows are
written to <out>/<task>.jsonl, one JSON object a line; the report to <work>/report.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.core.common import (
    BASE,
    BLANK,
    MODEL,
    RESULTS,
    add_model,
    by_concept,
    controlled,
    load_model,
    metered,
    over_concepts,
    row_file,
    write_rows,
)
from benchmarks.core.methods import key_of
from benchmarks.core.sharing import shared_out
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.base import Method
from trace_erasure.baselines.trace import Trace
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import FinetuneConfig
from trace_erasure.evaluation import (
    AtStrength,
    Row,
    RunFolder,
    Task,
    Verdict,
    about,
    at_strength,
    load_task,
    random_drift,
    shipped_judges,
    summarise,
    to_markdown,
)
from trace_erasure.evaluation.report.build import overview
from trace_erasure.utils.sharding import Shard, parse_shard, shard_of
from trace_erasure.world import load_world

KINDS = {"objects": "object", "styles": "style", "identities": "identity", "hazard": "explicit"}
# Where nothing is erased on purpose, the largest edit is tried: all weapons at once.
BORROWED = {"retention": ("hazard", "weapons"), "strength": ("objects", "fox")}
METHODS: dict[str, Method] = {
    "trace": Trace(),
    "both stages": Trace(finetune=FinetuneConfig()),
    "stage 2 only": Trace(closed_form=None, finetune=FinetuneConfig()),
    "reverse_cfg": Trace(finetune=FinetuneConfig(objective="reverse_cfg")),
    "margin": Trace(finetune=FinetuneConfig(objective="margin")),
}
DRIFT = "drift"
"""A control like ``BASE`` and ``BLANK``, all drawn once for all concepts of a task: as large a
change as TRACE's of the task's first concept, in any direction."""
ELSEWHERE = "trace"
"""The one method that is run on the tasks of BORROWED."""
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5)
SMALL = {
    "objects": (("fox", "car"), 12),
    "styles": (("neon",), 12),
    "identities": (("Mira Solberg",), 12),
    "hazard": (None, 20),
    "retention": (None, 150),
    "strength": (None, 8),
}
"""--small: concepts and the most pictures a group of each task; TRACE alone, default settings."""
STAGES = {
    "objects": (("fox", "car"), 100),
    "styles": (("neon", "ink"), 100),
    "identities": (("Mira Solberg", "Tobias Okafor"), 100),
}
PART = "stages-"
"""--stages: the same for all of ``METHODS``. Tasks and their rows are called stages-objects, …, and
use the erasures that the whole tasks have made."""


@dataclass(frozen=True)
class Unit:
    """What one process does whole: an erasure of a task's concept, or a control of a task."""

    task: Task
    method: str
    concepts: tuple[str, ...]
    owner: tuple[str, str]
    """Task and concept whose erasure is used; units of one owner belong to one process."""

    @property
    def title(self) -> str:
        return f"{self.task.name}, {self.method}, {', '.join(self.concepts)}"


def tasks_of(options: argparse.Namespace) -> list[Task]:
    """The chosen tasks, or parts of them."""
    tasks = []
    for name in options.tasks:
        task = load_task("objects" if name == "strength" else name)
        if name == "strength":
            task = replace(task.subset(["fox"]), name="strength")
        concepts, per_group = options.concepts, options.per_group
        if options.small:
            concepts, per_group = SMALL[name]
        if options.stages:
            concepts, per_group = STAGES[name]
            task = replace(task, name=PART + name)
        if name in BORROWED:
            concepts = None
        if name == "retention":  # what is erased on purpose is not lost
            gone = concepts_of(*BORROWED[name])
            kept = [
                item for item in task.items if not any(c.is_mentioned_in(item.prompt) for c in gone)
            ]
            task = replace(task, items=tuple(kept))
        tasks.append(task.subset(concepts, per_group))
    return tasks


def units_of(tasks: list[Task], methods: list[str]) -> Iterator[Unit]:
    """All the work, in the order in which a single process does it."""
    for task in tasks:
        for control in (BASE, BLANK):
            yield Unit(task, control, task.concepts, (task.name, control))
        for i, name in enumerate(task.concepts):
            owner = BORROWED.get(task.name, (task.name.removeprefix(PART), name))
            if DRIFT in methods and i == 0:
                yield Unit(task, DRIFT, task.concepts, owner)
            for method in methods:
                if method in METHODS and (task.name not in BORROWED or method == ELSEWHERE):
                    yield Unit(task.subset([name]), method, (name,), owner)


def concepts_of(task: str, name: str) -> tuple[Concept, ...]:
    """What to erase for one row of ``task``: one concept, or all weapons together.

    The task's name is one of ``KINDS``, with anything before a hyphen: ``dev-objects``.
    """
    kind, world = KINDS[task.rpartition("-")[2]], load_world()
    if kind == "explicit":  # the members, and the word for all of them
        words = [*(thing.name for thing in world.group("weapons")), "weapon"]
        return tuple(Concept(word, kind=kind) for word in words)
    return (Concept(world.styles.get(name, name) if kind == "style" else name, kind=kind),)


def erasure_file(owner: tuple[str, str], key: str, seed: int, work: Path) -> Path:
    """Where the erasure of a task's concept is kept; ``key`` is ``key_of`` the settings."""
    task, name = owner
    return work / "erasures" / task / key / f"{name.replace(' ', '-')}-{seed}.safetensors"


def erasure_for(
    pipe: Any, owner: tuple[str, str], key: str, settings: Method, seed: int, work: Path
) -> Erasure:
    """The erasure that an earlier run left under ``key``, or a new one."""
    file = erasure_file(owner, key, seed, work)
    if file.exists():
        return Erasure.load(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    task, name = owner
    with metered() as spent:
        erasure = settings.erase(pipe, concepts_of(task, name), seed=seed, workdir=file.parent)
    erasure.save(file)
    line = {
        "task": task,
        "method": key,
        "concept": name,
        "seed": seed,
        **spent,
        "bytes": file.stat().st_size,
        "name": erasure.name,
    }
    with (work / "seconds.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    return erasure


def measure(
    pipe: Any,
    unit: Unit,
    seed: int,
    judges: list[Any],
    work: RunFolder,
    draw: bool = True,
    model: str = MODEL,
) -> list[Verdict] | None:
    """All verdicts of one unit, from its files where it was done before.

    ``draw=False`` only looks for them; None where some are missing.
    """
    options: dict[str, Any] = dict(model=model, autocast=True, draw=draw)
    if unit.method in (BASE, BLANK):
        with controlled(pipe, unit.method):
            return work.measure(pipe, unit.task, judges, method=unit.method, **options)
    settings = METHODS["trace" if unit.method == DRIFT else unit.method]
    key = key_of(settings)
    if not draw and not erasure_file(unit.owner, key, seed, work.folder).exists():
        return None
    erasure = erasure_for(pipe, unit.owner, key, settings, seed, work.folder)
    if unit.method == DRIFT:
        erasure = random_drift(erasure, seed)
    several = unit.task.name == "strength" and unit.method != DRIFT
    found: list[Verdict] = []
    for strength in STRENGTHS if several else (1.0,):
        method, attached = at_strength(unit.method, strength), AtStrength(erasure, strength)
        options |= dict(method=method, seed=seed, erasure=attached)
        part = work.measure(pipe, unit.task, judges, **options)
        if part is None:
            return None
        found += part
    return found


def write(
    tasks: list[Task], found: dict[str, list[Verdict]], work: RunFolder, out: Path, model: str
) -> None:
    """Rows of every task, its table on stdout, and the report."""
    for task in tasks:
        verdicts = found[task.name]
        base = [v for v in verdicts if v.method == BASE]
        rows: list[Row] = summarise(verdicts, base)
        short = over_concepts if task.name.startswith(PART) else by_concept
        write_rows(row_file(task.name, model), short(rows), out)
        over = [row for row in rows if row.concept in ("mean", "worst")]
        print(to_markdown(over, title=task.name))
    everything = [verdict for verdicts in found.values() for verdict in verdicts]
    title = f"TRACE on {model}"
    said = {task.name: about(task) for task in tasks}
    page = overview(everything, work.images, title=title, runs=work.notes(), tasks=said)
    for file in page.write(work.folder / "report"):
        print(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [*KINDS, *BORROWED]
    add_model(parser)
    parser.add_argument("--tasks", nargs="+", choices=names)
    methods = [DRIFT, *METHODS]
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[DRIFT, "trace"],
        choices=methods,
        help="default: drift trace; all others too with --stages",
    )
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, help="at most so many pictures a group")
    parser.add_argument("--small", action="store_true", help=f"only {SMALL}, and only TRACE")
    parser.add_argument("--stages", action="store_true", help=f"only {STAGES}, by every method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=parse_shard, help="i/n: this process's share of the work")
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    parser.add_argument("--out", type=Path, default=None, help="default: benchmarks/results")
    options = parser.parse_args()
    if options.stages:
        options.methods = list(METHODS)
    options.tasks = options.tasks or list(STAGES if options.stages else names)
    out = options.out or (options.work / "results" if options.small else RESULTS)
    share: Shard = options.shard or shard_of()
    tasks, work = tasks_of(options), RunFolder(options.work)
    work.folder.mkdir(parents=True, exist_ok=True)
    units = list(units_of(tasks, options.methods))
    pipe, judges = load_model(options.model, options.device), shipped_judges(options.device)
    work.note(benchmark="bench.py", small=options.small, shard=f"{share[0]}/{share[1]}")
    found = shared_out(
        units,
        share,
        lambda unit, draw: measure(pipe, unit, options.seed, judges, work, draw, options.model),
    )
    if found is None:
        return
    of_task: dict[str, list[Verdict]] = {task.name: [] for task in tasks}
    for unit, part in zip(units, found, strict=True):
        of_task[unit.task.name] += part
    write(tasks, of_task, work, out, options.model)


if __name__ == "__main__":
    main()
