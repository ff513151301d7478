"""The TRACE benchmark on the embedded world: every figure of the README comes from here.

    python benchmarks/bench.py                    # everything; resumes when killed
    python benchmarks/bench.py --tasks objects --methods trace --concepts fox cat

Erasures, pictures and verdicts are kept under --work, so a rerun goes on where it was. Rows are
written to benchmarks/results/<task>.jsonl, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import MODEL, RESULTS, load_judges, load_model, write_rows
from trace_erasure.concept import Concept
from trace_erasure.erasure import Erasure
from trace_erasure.evaluate import (
    Row,
    Task,
    Verdict,
    append_jsonl,
    blanked,
    evaluate,
    load_task,
    read_jsonl,
    summarise,
    to_markdown,
)
from trace_erasure.files import atomic
from trace_erasure.generate import ImageStore
from trace_erasure.methods.method import Method
from trace_erasure.methods.trace import Trace
from trace_erasure.spec import Finetune
from trace_erasure.world import load_world

KINDS = {"objects": "object", "styles": "style", "identities": "identity", "hazard": "explicit"}
METHODS: dict[str, Method] = {
    "trace": Trace(),
    "stage 1 only": Trace(finetune=None),
    "stage 2 only": Trace(closed_form=None),
    "reverse_cfg": Trace(finetune=Finetune(objective="reverse_cfg")),
    "margin": Trace(finetune=Finetune(objective="margin")),
}
BASE, BLANK = "base", "blank"
"""The original model and the degenerate control: nothing is made for them."""


def concepts_of(task: Task, name: str) -> tuple[Concept, ...]:
    """What to erase for one row of ``task``: one concept, or all weapons together.

    The task's name is one of ``KINDS``, with anything before a hyphen: ``dev-objects``.
    """
    kind, world = KINDS[task.name.rpartition("-")[2]], load_world()
    if kind == "explicit":
        return tuple(Concept(thing.name, kind=kind) for thing in world.group("weapons"))
    return (Concept(world.styles.get(name, name) if kind == "style" else name, kind=kind),)


def erasure_for(
    pipe: Any, task: Task, method: str, settings: Method, name: str, seed: int, work: Path
) -> Erasure:
    """The erasure that an earlier run left in the folder of ``method``, or a new one."""
    folder = work / "erasures" / task.name / method.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name.replace(' ', '-')}-{seed}.safetensors"
    if file.exists():
        return Erasure.load(file)
    workdir = folder / f"{file.stem}.work"
    workdir.mkdir(exist_ok=True)
    started = time.perf_counter()
    erasure = settings.erase(pipe, concepts_of(task, name), seed=seed, workdir=workdir)
    seconds = time.perf_counter() - started
    erasure.save(file)
    line = {
        "task": task.name,
        "method": method,
        "concept": name,
        "seed": seed,
        "seconds": round(seconds, 2),
        "bytes": file.stat().st_size,
    }
    with (work / "seconds.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    return erasure


def verdicts_for(
    pipe: Any,
    task: Task,
    method: str,
    seed: int,
    judges: list,
    work: Path,
    *,
    methods: Mapping[str, Method] = METHODS,
    model: str = MODEL,
) -> list[Verdict]:
    """All verdicts of one method on one task, kept concept by concept."""
    store = ImageStore(work / "images")
    everything: list[Verdict] = []
    for name in task.concepts:
        part = task.subset([name])
        digest = part.protocol_hash()
        file = (
            work
            / "verdicts"
            / f"{task.name}-{method}-{name}-{seed}-{digest}.jsonl".replace(" ", "_")
        )
        if not file.exists():
            options = dict(model=model, method=method, seed=seed, store=store, autocast=True)
            if method == BLANK:
                with blanked(pipe):
                    found = evaluate(pipe, part, judges, **options)
            else:
                erasure = None
                if method != BASE:
                    erasure = erasure_for(pipe, task, method, methods[method], name, seed, work)
                found = evaluate(pipe, part, judges, erasure=erasure, **options)
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic(file) as partial:
                append_jsonl(partial, found)
        everything += read_jsonl(file, Verdict)
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, help="at most so many pictures a group")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/bench"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pipe, judges = load_model(), load_judges()
    for name in options.tasks:
        task = load_task(name).subset(options.concepts, options.per_group)
        base = verdicts_for(pipe, task, BASE, 0, judges, options.work)
        rows: list[Row] = summarise(base, base)
        blank = verdicts_for(pipe, task, BLANK, 0, judges, options.work)
        rows += summarise(blank, base)
        for method in options.methods:
            found = verdicts_for(pipe, task, method, options.seed, judges, options.work)
            rows += summarise(found, base)
        write_rows(name, rows, options.out)
        means = [row for row in rows if row.concept in ("mean", "worst")]
        print(to_markdown(means, title=name))


if __name__ == "__main__":
    main()
