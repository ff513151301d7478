"""The demonstration: one object, one style and one person erased, and everything shown.

Pictures, LoRA files and training records stay in the folder, so that a run that was broken off
goes on where it was, and a second run only looks again.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig
from trace_erasure.config_file import slug
from trace_erasure.demo.contact_sheet import stacked
from trace_erasure.demo.report import Result, sheet, terminal_table, write
from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import shipped_judges
from trace_erasure.evaluation.runs.runner import collect_verdicts
from trace_erasure.evaluation.tasks.loader import load_task
from trace_erasure.evaluation.tasks.task import Item, Task
from trace_erasure.pipeline import loading, shipped
from trace_erasure.pipeline.fingerprint import difference, fingerprint
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.trace.erase import run
from trace_erasure.trace.training import StepRecord
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.sequences import evenly_spaced
from trace_erasure.world import load_world

MODEL = "emoji-sd"
TARGETS = 24
NEAR, FAR = 24, 12
"""Retained pictures: of the concept's own kind, and of each other kind."""


@dataclass(frozen=True)
class Case:
    """A concept to erase, and the task whose pictures show whether it is gone."""

    spec: EraseConfig
    task: str

    @property
    def concept(self) -> Concept:
        return self.spec.concepts[0]

    @property
    def name(self) -> str:
        return self.concept.phrase


CASES = (
    Case(EraseConfig((Concept("fox"),)), "objects"),
    Case(EraseConfig((Concept("neon", kind="style"),)), "styles"),
    Case(EraseConfig((Concept("Mira Solberg", kind="identity"),)), "identities"),
)


@dataclass
class Training:
    """What the erasing of one concept leaves beside its file.

    Attributes:
        steps: the fields of every ``StepRecord``; none without stage 2.
        seconds: spent on it, interrupted runs included.
    """

    steps: list[dict[str, Any]]
    seconds: float = 0.0


def run_demo(out: Path, console: Console | None = None) -> Path:
    """Erases every case from the shipped model; returns the page that shows what came of it.

    Args:
        out: an existing folder, which gets ``index.html`` and, for each concept, the LoRA file, a
            picture before and after, and the training record.

    Raises:
        InputError: the shipped models are missing, or the folder cannot be written to.
    """
    console = console or Console(highlight=False)
    started = time.perf_counter()
    pipe = loading.load_pipeline(MODEL)
    judges = shipped_judges()
    task, store = demo_task(), ImageStore(out / "images")
    how: dict[str, Any] = dict(model=MODEL, store=store)

    console.print(f"[bold]Before:[/bold] {len(task.items)} pictures of {MODEL} as it is")
    before = collect_verdicts(pipe, task, judges, method="before", **how)
    results: list[Result] = []
    sheets: list[Image.Image] = []
    for case in CASES:
        console.print(f"[bold]{case.name}:[/bold] erasing")
        erasure, training = erased(pipe, case, out, console)
        console.print(f"[bold]{case.name}:[/bold] pictures after")
        own = task.subset([case.name])
        after = collect_verdicts(
            pipe, own, judges, method="after", erasure={case.name: erasure}, **how
        )
        result = Result(
            concept=case.name,
            record=record_of(erasure),
            steps=training.steps,
            seconds=training.seconds,
            before=[verdict for verdict in before if verdict.concept == case.name],
            after=after,
            neighbours={i.id for i in own.items if i.group == "retain" and alike(case, i)},
        )
        sheets.append(sheet(result, store))
        save_picture(sheets[-1], out / f"{slug(case.name)}.png")
        results.append(result)
    save_picture(stacked(sheets), out / "demo.png")
    console.print(terminal_table(results))
    page = write(out / "index.html", results, store, task, time.perf_counter() - started)
    console.print(f"Everything is in {page}.", markup=False)
    return page


# What is drawn ----------------------------------------------------------------------------


def demo_task() -> Task:
    """Few pictures of each case from the shipped tasks: targets, and what is kept.

    Every concept keeps 24 pictures of its own kind, where harm is likeliest, and 12 of each other
    kind; concepts share these, so that the original model draws them once.
    """
    full = {case: load_task(case.task).subset([case.name]) for case in CASES}
    pools = {case: near(full[case], case) for case in CASES}
    items: list[Item] = []
    for case in CASES:
        items += evenly_spaced(
            [item for item in full[case].items if item.group == "target"], TARGETS
        )
        for other in CASES:
            kept = pools[other] if other is case else evenly_spaced(pools[other], FAR)
            items += [replace(item, concept=case.name) for item in kept]
    return Task("demo", 1, tuple(items), Sampling(shipped.STEPS, shipped.GUIDANCE))


def near(task: Task, case: Case) -> list[Item]:
    """Retained items of the case's own kind; objects are half from its own group."""
    retained = [item for item in task.items if item.group == "retain"]
    like = [item for item in retained if alike(case, item)]
    if case.concept.kind != "object":
        return evenly_spaced(like, NEAR)
    objects = {f"subject/{thing.name}" for thing in load_world().objects}
    others = [item for item in retained if item.expects[0] in objects and item not in like]
    return [*evenly_spaced(like, NEAR // 2), *evenly_spaced(others, NEAR - NEAR // 2)]


def alike(case: Case, item: Item) -> bool:
    """Whether the item shows what lies nearest: a style, a person, an object of one group."""
    world = load_world()
    prefix, name = item.expects[0].split("/", 1)
    match case.concept.kind:
        case "style":
            return prefix == "style"
        case "identity":
            return name in world.people
        case _:
            groups = {thing.name: thing.group for thing in world.objects}
            return groups.get(name) == groups[case.name]


# Erasing ----------------------------------------------------------------------------------


def record_of(erasure: Erasure) -> TraceRecord:
    """The record of an erasure that the demo made. ``InputError`` for a file of another method."""
    if not isinstance(erasure.record, TraceRecord):
        raise InputError(f"{erasure.record.title!r} was not made by TRACE.")
    return erasure.record


def erased(pipe: Any, case: Case, out: Path, console: Console) -> tuple[Erasure, Training]:
    """The erasure of ``case`` and its training record, from an earlier run where there is one."""
    file = out / f"{slug(case.name)}.safetensors"
    records = file.with_suffix(".training.json")
    if file.exists() and records.exists():
        try:
            erasure = Erasure.load(file)
            current = not difference(erasure.base, fingerprint(pipe))
            if current and record_of(erasure).asked == case.spec:
                console.print(f"{file} is there already", markup=False)
                return erasure, Training(**json.loads(records.read_text("utf-8")))
            console.print(f"{file} is of another model or other settings: made again", markup=False)
        except InputError as error:
            console.print(f"{error} It is made again.", markup=False)
    training = Training([])
    if records.exists():
        training = Training(**json.loads(records.read_text("utf-8")))
    earlier, started = training.seconds, time.perf_counter()

    def on_step(step: StepRecord) -> None:
        nonlocal earlier
        earlier = earlier if step.step else 0.0
        # A run that goes on from a checkpoint repeats the steps since then.
        training.steps = [one for one in training.steps if one["step"] < step.step]
        training.steps.append(asdict(step))
        training.seconds = earlier + time.perf_counter() - started
        save(training, records)

    erasure = run(pipe, case.spec, on_step=on_step, workdir=out)
    erasure.save(file)
    training.seconds = earlier + time.perf_counter() - started
    save(training, records)
    return erasure, training


def save_picture(picture: Image.Image, file: Path) -> None:
    with atomic(file) as partial:
        picture.save(partial, format="PNG")


def save(training: Training, file: Path) -> None:
    with atomic(file) as partial:
        partial.write_text(json.dumps(asdict(training)), "utf-8")
