"""``export``: an erasure as another tool reads it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, note_replaced
from trace_erasure.errors import InputError


class For(StrEnum):
    """Who reads the export."""

    diffusers = "diffusers"
    peft = "peft"
    comfyui = "comfyui"
    a1111 = "a1111"
    invokeai = "invokeai"
    checkpoint = "checkpoint"
    single_file = "single-file"


MERGED = (For.checkpoint, For.single_file)


@app.command()
def export(
    file: options.Artifact,
    reader: Annotated[
        For,
        typer.Option(
            "--for",
            help="The tool that reads it; or checkpoint, a folder with the erasure in its weights; "
            "or single-file, the same of one checkpoint file.",
        ),
    ] = For.diffusers,
    model: Annotated[
        str | None,
        typer.Option(help="For checkpoint and single-file: the model to put the erasure into."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write. Default: beside FILE.")
    ] = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Write an erasure in the names that another tool reads, or merged into a checkpoint."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.artifact.merged_file import write_merged
    from trace_erasure.artifact.storage import with_suffix
    from trace_erasure.artifact.tools import export_lora
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.pipeline.loading import load_pipeline

    if (reader in MERGED) != (model is not None):
        raise InputError(
            f"--for {reader.value} takes the model that the erasure goes into: give --model."
            if model is None
            else f"--for {reader.value} writes the erasure alone. Leave out --model."
        )
    target = out or file.with_name(f"{file.stem}-{reader.value}")
    if reader not in (For.peft, For.checkpoint):
        target = with_suffix(target)
    with narration(quiet):
        erasure = Erasure.load(file)
        note_replaced(target)
        if model is None:
            export_lora(erasure, reader.value, target)
        elif reader is For.single_file:
            write_merged(erasure.delta, erasure.family, Path(model), target)
        else:
            erasure.fuse(load_pipeline(model)).save_pretrained(target)
    print_result({"file": str(target), "for": reader.value}, [str(target)], as_json)
