"""``evaluate``: a task's pictures drawn and judged."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.compare import Form, show
from trace_erasure.cli.jobs import EvaluationJob, Fleet
from trace_erasure.errors import InputError


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
    offload: options.Offload = None,
    base_folder: options.Config = None,
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
    engine: options.Engine = "local",
    workers: options.Workers = 1,
    engine_option: options.EngineOption = None,
    tasks_dir: options.TasksDir = None,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("evaluation"),
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no table.")] = False,
) -> None:
    """Draw a task's pictures, classify them with judges, and keep every verdict.

    Killed, it goes on where it was. Several processes share the work with --shard 0/2 and
    --shard 1/2, when a launcher starts them, or with --engine, and give the same pictures as one.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.evaluation.runs.run_folder import RunFolder, task_remarks
    from trace_erasure.utils.sharding import parse_shard, shard_of

    fleet = Fleet(engine, workers, engine_option or ())
    fleet.check(shard)
    share = (0, 1) if fleet.remote else shard_of() if shard is None else parse_shard(shard)
    if strength and not erasure:
        raise InputError("--strength belongs to an erasure. Add --erasure FILE.")
    job = EvaluationJob(
        model=model,
        loading=options.Loading(dtype, device, variant, revision, offload, base_folder),
        task=task,
        erasure=erasure or [],
        concept=concept,
        method=method,
        strength=strength or [1.0],
        judge=judge,
        clip=clip,
        weights=weights,
        prompts=prompts,
        controls=controls,
        per_group=per_group,
        batch=batch,
        bfloat16=bfloat16,
        tasks_dir=tasks_dir,
        out=out,
    )
    work = job.work()  # mistakes are told before a model is loaded
    pipe = None if fleet.remote else job.pipeline()
    complete = True
    with narration(quiet), output_folder(out):
        RunFolder(out).note(
            command=shlex.join(["trace-erasure", *sys.argv[1:]]),
            model=model,
            erasures={str(file): Erasure.load(file).name for file in erasure or ()},
            shard=f"{share[0]}/{share[1]}",
            tasks={part.name: task_remarks(part) for part, _, _ in work},
        )
        if fleet.remote:
            fleet.run(job, out)
        else:
            complete = job.run((pipe, work), share)
    if as_json and complete:
        show([out], Form.json)
    elif not quiet:
        _show_result(out, share, complete)


def _show_result(out: Path, share: tuple[int, int], complete: bool) -> None:
    """The tables, or which share is done where other processes still have to finish theirs."""
    if not complete:
        typer.echo(f"shard {share[0]}/{share[1]} is done; the last one prints the tables.")
        return
    show([out], Form.table)
    typer.echo(f"`trace-erasure report {out}` makes a page of it.")
