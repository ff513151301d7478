"""``ls``: what there is to choose from."""

from __future__ import annotations

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
    packs = "packs"
    recipes = "recipes"
    tasks = "tasks"


@app.command()
def ls(
    what: Annotated[Listing, typer.Argument(help="What to list.")],
    tasks_dir: options.TasksDir = None,
    as_json: options.AsJson = False,
) -> None:
    """List what there is to choose from."""
    from trace_erasure.cli.printing import listings
    from trace_erasure.cli.printing.console import print_result, table_data

    folder = (tasks_folder(tasks_dir),) if what is Listing.tasks else ()
    table = getattr(listings, what.value)(*folder)
    print_result(table_data(table), [table], as_json)
