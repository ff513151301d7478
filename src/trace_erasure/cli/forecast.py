"""``forecast``: what an erasure would do to other names."""

from __future__ import annotations

from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration
from trace_erasure.concepts.concept import KINDS, Concept


@app.command()
def forecast(
    concept: Annotated[str, typer.Option(help="What would be erased, without an article.")],
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    revision: options.Revision = None,
    surrogate: Annotated[
        str | None, typer.Option(help="What would be shown instead. Default: one is proposed.")
    ] = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = KINDS[0],
    name: Annotated[
        list[str] | None, typer.Option(help="A name to compare; repeatable. Default: a vocabulary.")
    ] = None,
    most: Annotated[int, typer.Option(help="How many names to show.", min=1)] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Predict what an erasure would do to other names, before anything is erased or drawn."""
    from trace_erasure.cli.printing.console import print_json, print_tables
    from trace_erasure.cli.printing.guarantees import about_forecast
    from trace_erasure.guarantees.forecast import forecast as forecast_erasure

    wanted = Concept(concept, surrogate, kind)
    with narration(quiet=False):
        pipe = options.Loading(dtype, device, variant, revision).load(model)
        found = forecast_erasure(pipe, wanted, name)
    if as_json:
        print_json(found.to_dict())
        return
    print_tables(about_forecast(found, most))
