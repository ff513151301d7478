"""``reproduce``: a published evaluation from start to end."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import BAD_INPUT, app, narration, output_folder
from trace_erasure.cli.selection import paths_of_weights


@app.command()
def reproduce(
    recipe: Annotated[str, typer.Argument(help="An evaluation; `ls recipes` lists them.")],
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    method: Annotated[
        list[str] | None, typer.Option(help="trace or a baseline; repeatable. Default: trace.")
    ] = None,
    protocol: Annotated[
        str, typer.Option(help="paper, as the released code runs it; or strict, without oddities.")
    ] = "paper",
    weights: options.Weights = None,
    prompts: options.Prompts = None,
    concept: options.OfTask = None,
    per_group: Annotated[
        int | None, typer.Option(help="At most so many pictures a group: a quick look.", min=1)
    ] = None,
    seed: options.Seed = 0,
    batch: Annotated[int, typer.Option(help="Pictures drawn at once.", min=1)] = 8,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is needed, what is missing and the cost.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for everything.")] = Path("reproduction"),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Erase, draw, judge and compare as a published evaluation does.

    Weights, prompt lists and judges are looked for before anything is drawn. Killed, the same
    command goes on. The page in --out has the published figures beside the measured ones.
    """
    from trace_erasure.baselines.registry import method as method_named
    from trace_erasure.cli.printing.console import print_json, print_result, print_table
    from trace_erasure.cli.printing.reproduce import cost_of, needs_table
    from trace_erasure.errors import InputError
    from trace_erasure.reproduce.checks import PROTOCOLS, findings, prepare
    from trace_erasure.reproduce.page import page_of
    from trace_erasure.reproduce.recipe import load_recipe
    from trace_erasure.reproduce.run import Reproduction

    wanted = load_recipe(recipe)
    if protocol not in PROTOCOLS:
        raise InputError(f"--protocol {protocol!r}; allowed: {', '.join(PROTOCOLS)}.")
    paths = paths_of_weights(weights)
    methods = {name: method_named(name) for name in method or ["trace"]}
    if check:
        found = findings(wanted, paths, prompts)
        if as_json:
            print_json({"model": wanted.model, "needs": [asdict(one) for one in found]})
        else:
            print_table(needs_table(wanted, found))
        if any(one.problem for one in found):
            raise typer.Exit(BAD_INPUT)
    task, judges = prepare(wanted, protocol, paths, prompts, concept)
    task = task.subset(per_group=per_group)
    if check:
        if not as_json:
            typer.echo(cost_of(task, len(methods)))
        return
    pipe = options.Loading(dtype, device, variant, revision, offload, base_folder).load(model)
    with narration(quiet), output_folder(out):
        work = Reproduction(wanted, task, judges, pipe, model, out, seed, batch)
        page = page_of(work, work.run(methods))
        files = [str(file) for file in page.write(out / "report")]
    print_result({"files": files}, files, as_json, quiet)
