"""``attack``: attempts to bring back what was erased."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.jobs import AttackJob, Fleet
from trace_erasure.cli.selection import judges_of, tasks_folder
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure


@app.command()
def attack(
    file: options.Artifact,
    task: Annotated[
        str, typer.Option(help="A task (see `ls tasks`) or the path of one: prompts and labels.")
    ],
    attack: Annotated[
        list[str] | None,
        typer.Option(help="An attack or probe (see `ls attacks`); repeatable. Default: all."),
    ] = None,
    concept: options.OfTask = None,
    synonym: Annotated[
        list[str] | None,
        typer.Option(help="Another word for the concept, to attack with; repeatable."),
    ] = None,
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    cases: Annotated[int, typer.Option(help="Prompts a concept.", min=1)] = 6,
    images: Annotated[int, typer.Option(help="Pictures a case may cost.", min=1)] = 8,
    gradients: Annotated[
        int, typer.Option(help="Passes of the network a case may cost.", min=1)
    ] = 160,
    encodings: Annotated[int, typer.Option(help="Prompts encoded a case.", min=1)] = 2000,
    controls: Annotated[
        bool, typer.Option(help="Original model, unknown concept and random words as well.")
    ] = True,
    judge: Annotated[
        Path | None,
        typer.Option(
            help="Folder of an image classifier. Default: the task's own, or a shipped one."
        ),
    ] = None,
    weights: options.Weights = None,
    prompts: options.Prompts = None,
    tasks_dir: options.TasksDir = None,
    batch: Annotated[int, typer.Option(help="Attempts by text drawn at once.", min=1)] = 8,
    bfloat16: options.Bfloat16 = False,
    engine: options.Engine = "local",
    workers: options.Workers = 1,
    engine_option: options.EngineOption = None,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("attacks"),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Try to bring back what was erased, by fifteen attacks and probes with one budget each.

    Killed, it goes on where it was: what became of every case is kept in the folder.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.attacks.attack import attack as run_attacks
    from trace_erasure.attacks.budget import Budget
    from trace_erasure.attacks.registry import ATTACKS, attack_entry
    from trace_erasure.attacks.results import attack_table
    from trace_erasure.attacks.runner import ERASED, groups_of
    from trace_erasure.cli.printing.figures import print_figures
    from trace_erasure.evaluation import load_task, to_json_text
    from trace_erasure.evaluation.runs.selection import erasures_by_concept

    fleet = Fleet(engine, workers, engine_option or ())
    fleet.check(None)
    for name in attack or ():
        attack_entry(name)
    erasure = Erasure.load(file)
    words = _synonyms(erasure, synonym or ())
    whole = load_task(task, tasks_folder(tasks_dir), prompts, concept)
    part = whole.subset(list(erasures_by_concept(whole, [erasure], concept)))
    chosen = judges_of(part, model, None if judge is None else [judge], None, weights)[0]
    how: dict[str, Any] = dict(cases=cases, controls=controls, batch=batch, bfloat16=bfloat16)
    how |= dict(concepts=part.concepts, synonyms=words)
    how |= dict(budget=Budget(images, gradients, encodings), folder=out)
    loading = options.Loading(dtype, device, variant, revision, offload, base_folder)
    with narration(quiet), output_folder(out):
        if fleet.remote:
            groups = list(groups_of(attack or [*ATTACKS]).values())
            folders = None if judge is None else [judge]
            job = AttackJob(
                model, loading, file, groups, task, tasks_dir, prompts, folders, weights, how
            )
            fleet.run(job, out, most=len(groups))
        pipe = loading.load(model)
        rows = run_attacks(pipe, erasure, part, attack or (), judge=chosen, model=model, **how)
    if as_json:
        typer.echo(to_json_text(rows))
    elif not quiet:
        print_figures(attack_table(rows, ERASED))


def _synonyms(erasure: Erasure, given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Concept to more words for it. ``InputError`` where it is open which concept is meant."""
    from trace_erasure.attacks.attack import synonyms_of

    found = synonyms_of(erasure, given)
    if given and len(found) > 1:
        raise InputError(
            f"--synonym is given, and the erasure names {len(found)} concepts: "
            f"{', '.join(found)}. Leave it out."
        )
    return found
