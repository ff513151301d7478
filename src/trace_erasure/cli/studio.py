"""``studio``: erasing in the browser."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app
from trace_erasure.studio.access import LOCAL, PASSWORD, USER, Access, read_password


@app.command()
def studio(
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model to offer beside the shipped ones; repeatable."),
    ] = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = LOCAL,
    port: Annotated[
        int | None, typer.Option(help="Default: the first that is free from 7860 on.")
    ] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Ask Gradio's servers for a public link.")
    ] = False,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help=f"Its first line is the password for the name {USER}. Default: ${PASSWORD}. "
            "Needed wherever others can reach the page."
        ),
    ] = None,
    ledger: Annotated[Path, typer.Option(help="The takedown ledger to show.")] = Path(
        "takedown.db"
    ),
    browse: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Erase in the browser: type a concept, preview, erase, look, download.

    Needs the extra `studio`. The page is for this machine alone unless --host or --share says
    otherwise; then it asks for a password, and offers only the models that are named here.
    """
    from trace_erasure.studio.bench import Bench
    from trace_erasure.studio.serve import check_installed, serve

    access = Access(host, port, share, read_password(password_file))
    check_installed()
    how = asdict(options.Loading(dtype, device, variant, revision, offload, base_folder))
    serve(Bench(tuple(model or ()), access.public, how), access, ledger, browse=browse)
