"""``compare``: methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app


class Form(StrEnum):
    """How ``compare`` prints."""

    table = "table"
    markdown = "markdown"
    json = "json"


@app.command()
def compare(
    runs: options.Runs,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.table,
    as_json: options.AsJson = False,
) -> None:
    """Print all methods of one or several evaluations side by side, controls included.

    Figures that were measured differently are refused; the message names what differs.
    """
    show(runs, Form.json if as_json else form)


def show(runs: Sequence[Path], form: Form) -> None:
    """Prints the figures of evaluations."""
    from trace_erasure.cli.printing.figures import print_figures
    from trace_erasure.evaluation import report_of, to_json_text
    from trace_erasure.evaluation.report.tables import Table

    whole = report_of(runs, ", ".join(map(str, runs)))
    if form is Form.json:
        typer.echo(to_json_text(whole.rows))
    elif form is Form.markdown:
        typer.echo(whole.markdown(), nl=False)
    else:
        for section in whole.sections:
            if isinstance(section, Table) and not section.folded:
                print_figures(section)
