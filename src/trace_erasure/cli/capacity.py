"""``capacity``: how many concepts fit together."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration
from trace_erasure.cli.selection import Words, captions_of, model_of, request_of, spec_among
from trace_erasure.errors import InputError


@app.command()
def capacity(
    what: Annotated[
        list[str] | None, typer.Argument(help="A YAML spec, or files that `erase` wrote.")
    ] = None,
    model: options.ModelOfSpec = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    concept: options.Concepts = None,
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the result.")] = False,
) -> None:
    """Show, before any work, how many concepts fit together, which collide, what stays inexact."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing.artifacts import about_capacity
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.trace.capacity import capacity as room_for

    run = spec_among(what or [])
    if run is None and not what:
        run = request_of(None, model, Words(concept))
    elif concept:
        raise InputError("--concept and a file both say what to erase. Give one of them.")
    with narration(quiet):
        pipe = options.Loading(dtype, device, variant, revision, offload, base_folder).load(
            model_of(model, run)
        )
        listed = run.erase.concepts if run else [Erasure.load(text) for text in what or []]
        found = room_for(pipe, listed, captions=captions_of(run))
    tables = (about_capacity(stream, one) for stream, one in found.items())
    print_result({stream: asdict(one) for stream, one in found.items()}, tables, as_json)
