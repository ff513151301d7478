"""``validate``: a spec file checked and written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app


@app.command()
def validate(
    spec: Annotated[Path, typer.Argument(help="A YAML file for `erase`.")],
    as_json: options.AsJson = False,
) -> None:
    """Check a spec file and write it out with every default."""
    from trace_erasure.cli.printing.console import print_json
    from trace_erasure.config_file import load_config, to_data, to_yaml

    run = load_config(spec)
    if as_json:
        print_json(to_data(run))
        return
    typer.echo(to_yaml(run), nl=False)
