"""``generate``: pictures, with an erasure or without."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.errors import InputError


@app.command()
def generate(
    prompt: Annotated[list[str], typer.Option(help="What to draw; repeatable.")],
    model: options.Model = options.DEFAULT_MODEL,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    erasure: Annotated[Path | None, typer.Option(help="A file that `erase` wrote.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="Of the erasure, 0 to 2. Default: 1, as made.")
    ] = None,
    seed: options.Seed = 0,
    count: Annotated[int, typer.Option(help="Pictures a prompt, seeds counting up.", min=1)] = 1,
    steps: options.Steps = 20,
    guidance_scale: options.GuidanceScale = 3.5,
    out: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path("out"),
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw pictures, with an erasure or without: the same seeds show the difference."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.config_file import hyphenated
    from trace_erasure.pipeline.generate import generate as draw
    from trace_erasure.pipeline.sampling import Sampling
    from trace_erasure.utils.atomic import atomic
    from trace_erasure.utils.numbers import check_seed

    if erasure is None and strength is not None:
        raise InputError(f"strength {strength} belongs to an erasure. Add --erasure FILE.")
    Sampling(steps, guidance_scale)  # raises InputError
    check_seed(seed + count - 1, "the last seed")
    removal = None if erasure is None else Erasure.load(erasure)
    pipe = options.Loading(dtype, device, variant, revision, offload, base_folder).load(model)
    if removal is not None:
        removal.attach(pipe, 1.0 if strength is None else strength)
    wanted = [(i, text, seed + k) for i, text in enumerate(prompt, 1) for k in range(count)]
    made: list[dict[str, Any]] = []
    with narration(quiet), output_folder(out):
        images = draw(
            pipe,
            [text for _, text, _ in wanted],
            [number for _, _, number in wanted],
            steps=steps,
            guidance_scale=guidance_scale,
        )
        for (i, text, number), image in zip(wanted, images, strict=True):
            file = out / f"{i:02}-{hyphenated(text) or 'prompt'}-seed{number}.png"
            with atomic(file) as partial:
                image.save(partial, format="PNG")
            made.append({"file": str(file), "prompt": text, "seed": number})
    print_result(made, [one["file"] for one in made], as_json, quiet)
