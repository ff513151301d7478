"""``validate``: a spec file checked and written out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli.app import app


@app.command()
def validate(spec: Annotated[Path, typer.Argument(help="A YAML file for `erase`.")]) -> None:
    """Check a spec file and write it out with every default."""
    from trace_erasure.config_file import load_config, to_yaml

    typer.echo(to_yaml(load_config(spec)), nl=False)
