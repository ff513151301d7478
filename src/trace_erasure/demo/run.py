"""The demonstration: one object, one style and one person erased, and everything shown.

Pictures, LoRA files and training records stay in the folder, so that a run that was broken off
continues where it was, and a second run only evaluates again.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
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
from trace_erasure.demo.page import write
from trace_erasure.demo.report import Result, sheet, terminal_table
from trace_erasure.demo.strengths import faded
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
from trace_erasure.utils.json_file import as_kind, read_json
from trace_erasure.utils.sequences import evenly_spaced
from trace_erasure.world import load_world

MODEL = "emoji-sd"
TARGETS = 24
NEAR, FAR = 24, 12
"""Retained pictures: of the concept's own kind, and of each other kind."""


@dataclass(frozen=True)
class DemoConcept:
    """A concept to erase, and the task whose pictures show whether it is gone."""

    spec: EraseConfig
    task: str

    @property
    def concept(self) -> Concept:
        return self.spec.concepts[0]

    @property
    def name(self) -> str:
        return self.concept.phrase


CONCEPTS = (
    DemoConcept(EraseConfig((Concept("fox"),)), "objects"),
    # The plain style instead of a look-alike: what is drawn then looks whole, and not damaged.
    DemoConcept(EraseConfig((Concept("neon", "cartoon", kind="style"),)), "styles"),
    DemoConcept(EraseConfig((Concept("Mira Solberg", kind="identity"),)), "identities"),
)


@dataclass
class Training:
    """The training record of one concept, kept beside its file.

    Attributes:
        steps: the fields of every ``StepRecord``; none without stage 2.
        seconds: spent on it, interrupted runs included.
    """

    steps: list[dict[str, Any]]
    seconds: float = 0.0


def run_demo(out: Path, console: Console | None = None) -> Path:
    """Erases every concept from the shipped model; returns the page with pictures and metrics.

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
    for target in CONCEPTS:
        console.print(f"[bold]{target.name}:[/bold] erasing")
        erasure, training = erased(pipe, target, out, console)
        console.print(f"[bold]{target.name}:[/bold] pictures after")
        own = task.subset([target.name])
        after = collect_verdicts(
            pipe, own, judges, method="after", erasure={target.name: erasure}, **how
        )
        result = Result(
            concept=target.name,
            record=record_of(erasure),
            steps=training.steps,
            seconds=training.seconds,
            before=[verdict for verdict in before if verdict.concept == target.name],
            after=after,
            neighbours={i.id for i in own.items if i.group == "retain" and is_neighbour(target, i)},
            faded=faded(pipe, erasure, own.items[0], task.sampling, store),
        )
        sheets.append(sheet(result, store))
        save_picture(sheets[-1], out / f"{slug(target.name)}.png")
        results.append(result)
    save_picture(stacked(sheets), out / "demo.png")
    console.print(terminal_table(results))
    page = write(out / "index.html", results, store, task, time.perf_counter() - started)
    console.print(f"Everything is in {page}.", markup=False)
    return page


# What is drawn ----------------------------------------------------------------------------


def demo_task() -> Task:
    """Few pictures of each concept from the shipped tasks: targets, and what is kept.

    Every concept keeps 24 pictures of its own kind, where harm is likeliest, and 12 of each other
    kind; concepts share these, so that the original model draws them once.
    """
    full = {target: load_task(target.task).subset([target.name]) for target in CONCEPTS}
    pools = {target: nearest_retained(full[target], target) for target in CONCEPTS}
    items: list[Item] = []
    for target in CONCEPTS:
        items += evenly_spaced(
            [item for item in full[target].items if item.group == "target"], TARGETS
        )
        for other in CONCEPTS:
            kept = pools[other] if other is target else evenly_spaced(pools[other], FAR)
            items += [replace(item, concept=target.name) for item in kept]
    return Task("demo", 1, tuple(items), Sampling(shipped.STEPS, shipped.GUIDANCE))


def nearest_retained(task: Task, target: DemoConcept) -> list[Item]:
    """Retained items of the concept's own kind; half of an object's are from its own group."""
    retained = [item for item in task.items if item.group == "retain"]
    like = [item for item in retained if is_neighbour(target, item)]
    if target.concept.kind != "object":
        return evenly_spaced(like, NEAR)
    objects = {f"subject/{thing.name}" for thing in load_world().objects}
    others = [item for item in retained if item.expects[0] in objects and item not in like]
    return [*evenly_spaced(like, NEAR // 2), *evenly_spaced(others, NEAR - NEAR // 2)]


def is_neighbour(target: DemoConcept, item: Item) -> bool:
    """Whether the item shows a neighbour: a style, a person, an object of the same group."""
    world = load_world()
    prefix, name = item.expects[0].split("/", 1)
    match target.concept.kind:
        case "style":
            return prefix == "style"
        case "identity":
            return name in world.people
        case _:
            groups = {thing.name: thing.group for thing in world.objects}
            return groups.get(name) == groups[target.name]


# Erasing ----------------------------------------------------------------------------------


def record_of(erasure: Erasure) -> TraceRecord:
    """The record of an erasure that the demo made. ``InputError`` for a file of another method."""
    if not isinstance(erasure.record, TraceRecord):
        raise InputError(f"{erasure.record.title!r} was not made by TRACE.")
    return erasure.record


def erased(pipe: Any, target: DemoConcept, out: Path, console: Console) -> tuple[Erasure, Training]:
    """The erasure of ``target`` and its training record, from an earlier run where there is one."""
    file = out / f"{slug(target.name)}.safetensors"
    records = file.with_suffix(".training.json")
    if file.exists() and records.exists():
        try:
            erasure = Erasure.load(file)
            current = not difference(erasure.base, fingerprint(pipe))
            if current and record_of(erasure).asked == target.spec:
                console.print(f"{file} is there already", markup=False)
                return erasure, as_kind(Training, read_json(records), str(records))
            console.print(f"{file} is of another model or other settings: made again", markup=False)
        except InputError as error:
            console.print(f"{error} It is made again.", markup=False)
    training = Training([])
    if records.exists():
        with suppress(InputError):  # a damaged record is begun again, as its message above says
            training = as_kind(Training, read_json(records), str(records))
    earlier, started = training.seconds, time.perf_counter()

    def on_step(step: StepRecord) -> None:
        nonlocal earlier
        earlier = earlier if step.step else 0.0
        # A run that goes on from a checkpoint repeats the steps since then.
        training.steps = [one for one in training.steps if one["step"] < step.step]
        training.steps.append(asdict(step))
        training.seconds = earlier + time.perf_counter() - started
        save(training, records)

    erasure = run(pipe, target.spec, on_step=on_step, workdir=out)
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
