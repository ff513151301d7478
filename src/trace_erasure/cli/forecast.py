"""``forecast``: what an erasure would do to other names, and what stage 2 could do at best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.kinds import AUTO
from trace_erasure.errors import InputError
from trace_erasure.utils.atomic import atomic


@app.command()
def forecast(
    concept: Annotated[str, typer.Option(help="What would be erased, without an article.")],
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    surrogate: Annotated[
        str | None, typer.Option(help="What would be shown instead. Default: one is proposed.")
    ] = None,
    kind: options.Kind = None,
    name: Annotated[
        list[str] | None, typer.Option(help="A name to compare; repeatable. Default: a vocabulary.")
    ] = None,
    most: Annotated[int, typer.Option(help="How many names to show.", min=1)] = 20,
    oracle: Annotated[
        bool,
        typer.Option("--oracle", help="Instead, what perfect steering would do in each window."),
    ] = False,
    state_prompt: options.StatePrompts = None,
    out: Annotated[
        Path, typer.Option(help="With --oracle: a PNG with a row of pictures a window.")
    ] = Path("oracle.png"),
    as_json: options.AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the result.")] = False,
) -> None:
    """Predict what an erasure would do to other names, before anything is erased or drawn.

    With --oracle: what perfect steering would leave of the concept, window by window of noise
    levels, before anything is trained.
    """
    from trace_erasure.cli.printing.console import print_json, print_tables
    from trace_erasure.cli.printing.guarantees import about_forecast
    from trace_erasure.guarantees.forecast import forecast as forecast_erasure

    wanted = Concept(concept, surrogate, kind or AUTO)
    if state_prompt and not oracle:
        raise InputError("--state-prompt is for perfect steering. Add --oracle.")
    with narration(quiet):
        pipe = options.Loading(dtype, device, variant, revision, offload, base_folder).load(model)
        if oracle:
            _show_oracle(pipe, wanted, tuple(state_prompt or ()), out, as_json)
            return
        found = forecast_erasure(pipe, wanted, name)
    if as_json:
        print_json(found.to_dict())
        return
    print_tables(about_forecast(found, most))


def _show_oracle(
    pipe: Any, concept: Concept, state_prompts: tuple[str, ...], out: Path, as_json: bool
) -> None:
    """Prints what every window leaves, and writes its pictures."""
    from trace_erasure.cli.printing.console import print_json, print_tables
    from trace_erasure.cli.printing.guarantees import about_oracle
    from trace_erasure.config import FinetuneConfig
    from trace_erasure.demo.contact_sheet import picture_rows
    from trace_erasure.guarantees.oracle_forecast import oracle_forecast

    settings = FinetuneConfig.for_scenes(*state_prompts) if state_prompts else FinetuneConfig()
    found = oracle_forecast(pipe, concept, settings)
    rows = [(f"{window.noise_level:.2f}", window.pictures) for window in found.windows]
    with atomic(out) as partial:
        picture_rows(rows).save(partial, "PNG")
    if as_json:
        print_json(found.to_dict())
        return
    print_tables([about_oracle(found)])
    typer.echo(f"written: {out}")
