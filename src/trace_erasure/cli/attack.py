"""The verb that tries to bring back what was erased: ``attack``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.selection import erasures_of, judges_of, tasks_folder
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
    batch: Annotated[int, typer.Option(help="Tries by text drawn at once.", min=1)] = 8,
    bfloat16: options.Bfloat16 = False,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("attacks"),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Try to bring back what was erased, by fifteen attacks and probes with one budget each.

    Killed, it goes on where it was: what became of every case is kept in the folder.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.attacks.budget import Budget
    from trace_erasure.attacks.registry import ATTACKS, find
    from trace_erasure.attacks.results import attack_table
    from trace_erasure.attacks.runner import ERASED, Campaign
    from trace_erasure.attacks.targets import targets_of
    from trace_erasure.cli.printing import measured, print_table
    from trace_erasure.evaluation import to_json_text, to_markdown
    from trace_erasure.evaluation.tasks.loader import load_task
    from trace_erasure.pipeline.loading import load
    from trace_erasure.utils.atomic import atomic

    names = list(dict.fromkeys(attack or ATTACKS))
    for name in names:
        find(name)
    erasure = Erasure.load(file)
    whole = load_task(task, tasks_folder(tasks_dir), prompts, concept)
    part = whole.subset(list(erasures_of(whole, [erasure], concept)))
    folders = None if judge is None else [judge]
    who = judges_of(part, model, folders, None, weights)[0]
    targets = targets_of(erasure, part, who, cases, _synonyms(erasure, synonym or []))
    budget, how = Budget(images, gradients, encodings), part.sampling
    rows = []
    with narration(quiet), output_folder(out):
        campaign = Campaign(
            load(model), erasure, targets, model, who.id, budget, how.steps, how.guidance_scale,
            out, batch, bfloat16,
        )  # fmt: skip
        for one in names:
            rows += campaign.rows(one, controls)
            table = attack_table(rows, ERASED)
            for name, text in (("json", to_json_text(rows) + "\n"), ("md", to_markdown(table))):
                with atomic(out / f"attacks.{name}") as partial:
                    partial.write_text(text, "utf-8")
    if as_json:
        typer.echo(to_json_text(rows))
    elif not quiet:
        print_table(measured(table))


def _synonyms(erasure: Erasure, given: list[str]) -> dict[str, tuple[str, ...]]:
    """More words for the erasure's concepts: the user's, and those of the shipped vocabulary."""
    from trace_erasure.concepts.concept import recorded
    from trace_erasure.world import load_world

    known = {thing.name: thing.synonyms for thing in load_world().objects}
    phrases = [concept.phrase for concept in recorded(erasure.record)]
    if given and len(phrases) > 1:
        raise InputError(
            f"--synonym is given, and the erasure names {len(phrases)} concepts: "
            f"{', '.join(phrases)}. Leave it out."
        )
    return {phrase: (*given, *known.get(phrase, ())) for phrase in phrases}
