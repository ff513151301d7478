"""Verbs that measure: ``evaluate``, ``compare``, ``report``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.selection import erasures_of, judges_of, tasks_folder
from trace_erasure.errors import InputError


class Form(StrEnum):
    """How ``compare`` prints."""

    table = "table"
    markdown = "markdown"
    json = "json"


@app.command()
def evaluate(
    task: Annotated[
        list[str], typer.Option(help="A task (see `ls tasks`) or the path of one; repeatable.")
    ],
    erasure: Annotated[
        list[Path] | None, typer.Option(help="A file that `erase` wrote; repeatable.")
    ] = None,
    concept: options.OfTask = None,
    model: options.Model = options.DEFAULT_MODEL,
    method: Annotated[str, typer.Option(help="Name of the erasures in tables.")] = "trace",
    strength: Annotated[
        list[float] | None,
        typer.Option(help="Of the erasures, 0 to 2; repeatable, for curves. Default: 1."),
    ] = None,
    judge: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of an image classifier; repeatable. Default: those that the task names, "
            "or the shipped ones."
        ),
    ] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder of a CLIP model to score with.")] = None,
    weights: options.Weights = None,
    prompts: options.Prompts = None,
    controls: Annotated[
        bool, typer.Option(help="Original model, random drift and blank pictures as well.")
    ] = True,
    per_group: Annotated[
        int | None, typer.Option(help="At most so many pictures a group: a quick look.", min=1)
    ] = None,
    batch: Annotated[
        int, typer.Option(help="Pictures drawn at once; what a kill loses.", min=1)
    ] = 8,
    bfloat16: options.Bfloat16 = False,
    shard: Annotated[
        str | None,
        typer.Option(help="i/n: this process's share. Default: from torchrun, MPI or SLURM."),
    ] = None,
    tasks_dir: options.TasksDir = None,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("evaluation"),
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no table.")] = False,
) -> None:
    """Draw a task's pictures, let judges look at them, and keep every verdict.

    Killed, it goes on where it was. Several processes share the work with --shard 0/2 and
    --shard 1/2, or when a launcher starts them, and give the same pictures as one.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.evaluation import (
        AtStrength,
        RunFolder,
        about,
        at_strength,
        blanked,
        random_drift,
    )
    from trace_erasure.evaluation.tasks.loader import load_task
    from trace_erasure.pipeline.loading import load
    from trace_erasure.utils.sharding import parse_shard, shard_of

    share = shard_of() if shard is None else parse_shard(shard)
    files = erasure or []
    if strength and not files:
        raise InputError("--strength belongs to an erasure. Add --erasure FILE.")
    for one in strength or ():
        if not 0 <= one <= 2:
            raise InputError(f"strength {one:g} is out of range. Choose 0 (off) to 2.")
    removals = [Erasure.load(file) for file in files]
    folder = tasks_folder(tasks_dir)
    tasks = [load_task(name, folder, prompts, concept) for name in task]
    chosen = [erasures_of(one, removals, concept) for one in tasks]
    parts = [
        one.subset(list(found) or concept, per_group)
        for one, found in zip(tasks, chosen, strict=True)
    ]
    judges = [judges_of(one, model, judge, clip, weights) for one in parts]
    pipe = load(model)
    run, complete = RunFolder(out), True
    with narration(quiet), output_folder(out):
        run.note(
            command=shlex.join(["trace-erasure", *sys.argv[1:]]),
            model=model,
            erasures={str(file): one.name for file, one in zip(files, removals, strict=True)},
            shard=f"{share[0]}/{share[1]}",
            tasks={part.name: about(part) for part in parts},
        )
        how: dict[str, Any] = dict(model=model, batch=batch, autocast=bfloat16, shard=share)
        for part, by_concept, seen_by in zip(parts, chosen, judges, strict=True):
            todo: list[tuple[str, Any, Any]] = []
            if controls or not removals:
                todo.append(("base", None, nullcontext()))
            if controls:
                todo.append(("blank", None, blanked(pipe)))
            if removals:
                if controls:
                    drifts = {name: random_drift(one) for name, one in by_concept.items()}
                    todo.append(("drift", drifts, nullcontext()))
                for s in strength or [1.0]:
                    scaled = {name: AtStrength(one, s) for name, one in by_concept.items()}
                    todo.append((at_strength(method, s), scaled, nullcontext()))
            for name, erasures, within in todo:
                with within:
                    found = run.measure(pipe, part, seen_by, method=name, erasure=erasures, **how)
                complete &= found is not None
    if quiet:
        return
    if not complete:
        typer.echo(f"shard {share[0]}/{share[1]} is done; the last one prints the tables.")
        return
    _show([out], Form.table)
    typer.echo(f"`trace-erasure report {out}` makes a page of it.")


@app.command()
def compare(
    runs: options.Runs,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.table,
) -> None:
    """Print all methods of one or several evaluations side by side, controls included.

    Figures that were measured differently are refused; the message says what differs.
    """
    _show(runs, form)


@app.command()
def report(
    runs: options.Runs,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. Default: `report` in the first.")
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Evaluation",
) -> None:
    """Make one self-contained page of an evaluation, with the same as JSON and Markdown."""
    from trace_erasure.evaluation import overview_of

    whole = overview_of(runs, title)
    where = out or runs[0] / "report"
    with output_folder(where):
        for file in whole.write(where):
            typer.echo(file)


def _show(runs: Sequence[Path], form: Form) -> None:
    from trace_erasure.cli.printing import measured, print_table
    from trace_erasure.evaluation import overview_of, to_json_text
    from trace_erasure.evaluation.report.tables import Table

    whole = overview_of(runs, ", ".join(map(str, runs)))
    if form is Form.json:
        typer.echo(to_json_text(whole.rows))
    elif form is Form.markdown:
        typer.echo(whole.markdown(), nl=False)
    else:
        for section in whole.sections:
            if isinstance(section, Table) and not section.folded:
                print_table(measured(section))
