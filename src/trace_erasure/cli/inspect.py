"""Verbs that only look: ``info``, ``ls``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app
from trace_erasure.cli.selection import tasks_folder


class Listing(StrEnum):
    """What ``ls`` can list."""

    attacks = "attacks"
    concepts = "concepts"
    families = "families"
    models = "models"
    objectives = "objectives"
    tasks = "tasks"


@app.command()
def info(
    file: options.Artifact,
    as_json: options.AsJson = False,
) -> None:
    """Say what a file erases, from which model, and how it was made. Reads the header only."""
    from trace_erasure.artifact.header import read_header
    from trace_erasure.cli.printing import about_header, print_table

    header = read_header(file)
    if as_json:
        whole = {**header.provenance, "metadata": header.metadata, "bytes": header.size}
        typer.echo(json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False))
        return
    print_table(about_header(file, header))


@app.command()
def ls(
    what: Annotated[Listing, typer.Argument(help="What to list.")],
    tasks_dir: options.TasksDir = None,
) -> None:
    """List what there is to choose from."""
    from trace_erasure.cli import printing

    if what is Listing.tasks:
        printing.print_table(printing.tasks(tasks_folder(tasks_dir)))
        return
    printing.print_table(getattr(printing, what.value)())
