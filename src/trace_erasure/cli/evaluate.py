"""``evaluate``: a task's pictures drawn and judged."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.compare import Form, show
from trace_erasure.cli.selection import judges_of, tasks_folder
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.evaluation import Task
    from trace_erasure.evaluation.runs.schedule import Measurement


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
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    revision: options.Revision = None,
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
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no table.")] = False,
) -> None:
    """Draw a task's pictures, classify them with judges, and keep every verdict.

    Killed, it goes on where it was. Several processes share the work with --shard 0/2 and
    --shard 1/2, or when a launcher starts them, and give the same pictures as one.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.evaluation.runs.run_folder import RunFolder, task_remarks
    from trace_erasure.evaluation.runs.schedule import run_measurements
    from trace_erasure.evaluation.tasks.loader import load_task
    from trace_erasure.utils.sharding import parse_shard, shard_of

    share = shard_of() if shard is None else parse_shard(shard)
    if strength and not erasure:
        raise InputError("--strength belongs to an erasure. Add --erasure FILE.")
    loaded = {str(file): Erasure.load(file) for file in erasure or ()}
    folder = tasks_folder(tasks_dir)
    work = []
    for name in task:
        part, planned = _planned(
            load_task(name, folder, prompts, concept),
            list(loaded.values()),
            concept,
            per_group,
            method=method,
            strengths=strength or [1.0],
            controls=controls,
        )
        work.append((part, judges_of(part, model, judge, clip, weights), planned))
    pipe = options.Loading(dtype, device, variant, revision).load(model)
    run, complete = RunFolder(out), True
    how: dict[str, Any] = dict(model=model, batch=batch, autocast=bfloat16, shard=share)
    with narration(quiet), output_folder(out):
        run.note(
            command=shlex.join(["trace-erasure", *sys.argv[1:]]),
            model=model,
            erasures={file: one.name for file, one in loaded.items()},
            shard=f"{share[0]}/{share[1]}",
            tasks={part.name: task_remarks(part) for part, _, _ in work},
        )
        for part, judges, planned in work:
            complete &= run_measurements(run, pipe, part, judges, planned, **how) is not None
    if as_json and complete:
        show([out], Form.json)
    elif not quiet:
        _show_result(out, share, complete)


def _planned(
    task: Task,
    erasures: Sequence[Erasure],
    concepts: list[str] | None,
    per_group: int | None,
    **settings: Any,
) -> tuple[Task, list[Measurement]]:
    """The part of ``task`` that is measured, and with which erasures and controls."""
    from trace_erasure.evaluation.runs.schedule import measurements
    from trace_erasure.evaluation.runs.selection import erasures_by_concept

    found = erasures_by_concept(task, erasures, concepts)
    return task.subset(list(found) or concepts, per_group), measurements(found, **settings)


def _show_result(out: Path, share: tuple[int, int], complete: bool) -> None:
    """The tables, or which share is done where other processes still have to finish theirs."""
    if not complete:
        typer.echo(f"shard {share[0]}/{share[1]} is done; the last one prints the tables.")
        return
    show([out], Form.table)
    typer.echo(f"`trace-erasure report {out}` makes a page of it.")
