"""``report``: an evaluation as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, output_folder


@app.command()
def report(
    runs: options.Runs,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the report. Default: `report` in the first.")
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Evaluation",
    as_json: options.AsJson = False,
) -> None:
    """Make one self-contained page of an evaluation, with the same as JSON and Markdown."""
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.evaluation import report_of

    whole = report_of(runs, title)
    where = out or runs[0] / "report"
    with output_folder(where):
        files = [str(file) for file in whole.write(where)]
    print_result({"files": files}, files, as_json)
