"""``demo``: three concepts erased from the shipped model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("demo-out"),
    quiet: options.Quiet = False,
) -> None:
    """Erase an object, a style and a person from the shipped model, and show what came of it.

    Takes some minutes; broken off, it goes on where it was.
    """
    from rich.console import Console

    from trace_erasure.demo.run import run_demo

    with narration(quiet), output_folder(out):
        try:
            run_demo(out, Console(highlight=False, quiet=quiet))
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt("Interrupted. The same command goes on from there.") from error
