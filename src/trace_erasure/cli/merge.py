"""Verbs for many concepts at once: ``merge``, ``capacity``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, output_folder
from trace_erasure.cli.erase import request_of
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.config_file import RunConfig


@app.command()
def merge(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Files that `erase` wrote, each with :STRENGTH behind it where not 1; or one "
            "YAML spec, whose concepts are then erased one by one and merged."
        ),
    ],
    model: options.ModelOfSpec = None,
    out: Annotated[Path, typer.Option(help="Folder for the LoRA file.")] = Path("out"),
    strength: Annotated[float, typer.Option(help="Of all together, 0 to 2.")] = 1.0,
    rank: Annotated[
        int | None, typer.Option(help="The most that the file may have. Default: all it needs.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N, with a spec: only make every N-th concept's file, from the I-th."),
    ] = None,
    dense: Annotated[
        bool, typer.Option("--dense", help="Write a whole pipeline with changed weights.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Put erasures together: solved jointly, nothing trained again, one LoRA file.

    To add or remove a concept, merge the new list. Broken off, the same command goes on.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing import about_merged, print_table
    from trace_erasure.config import MergeConfig
    from trace_erasure.config_file import slug
    from trace_erasure.trace.erase_each import erase_each
    from trace_erasure.trace.merge import merge as put_together
    from trace_erasure.utils.sharding import parse_shard

    run = _spec_among(what)
    if shard is not None and run is None:
        raise InputError(f"shard {shard} is for a spec, whose concepts are made. Leave it out.")
    started = time.perf_counter()
    with narration(quiet), output_folder(out):
        pipe = _pipeline(model, run)
        if run is not None:
            files = erase_each(
                pipe, run.erase, out / "parts", shard=parse_shard(shard) if shard else (0, 1)
            )
            if shard is not None:
                typer.echo("\n".join(map(str, files)))
                return
            wanted = [(file, 1.0) for file in files]
        else:
            wanted = [_with_strength(text) for text in what]
        parts = [Erasure.load(file) for file, _ in wanted]
        strengths = [own * strength for _, own in wanted]
        settings = MergeConfig(rank=rank)
        merged = put_together(parts, pipe, strengths=strengths, settings=settings)
        concepts = merged.record["merged"]["concepts"]
        name = slug(" ".join(concept["phrase"] for concept in concepts))
        if dense:
            file = out / name
            merged.bake(pipe).save_pretrained(file)
        else:
            file = merged.save(out / f"{name}-merged")
    if not quiet:
        print_table(about_merged(merged.record, file, time.perf_counter() - started))


@app.command()
def capacity(
    what: Annotated[
        list[str] | None, typer.Argument(help="A YAML spec, or files that `erase` wrote.")
    ] = None,
    model: options.ModelOfSpec = None,
    concept: options.Concepts = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the table.")] = False,
) -> None:
    """Say, before any work, how many concepts fit together, which collide, what stays inexact."""
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.cli.printing import about_capacity, print_table
    from trace_erasure.trace.capacity import capacity as room_for

    run = _spec_among(what or [])
    if run is None and not what:
        run = request_of(None, model, concept, None, None)
    elif concept:
        raise InputError("--concept and a file both say what to erase. Give one of them.")
    with narration(quiet):
        pipe = _pipeline(model, run)
        listed = run.erase.concepts if run else [Erasure.load(text) for text in what or []]
        found = room_for(pipe, listed)
    for stream, one in found.items():
        print_table(about_capacity(stream, one.to_dict()))


def _pipeline(model: str | None, run: RunConfig | None) -> Any:
    """The pipeline that --model names, else the spec's, else the default one."""
    from trace_erasure.pipeline.loading import load

    return load(model or (run.model if run else options.DEFAULT_MODEL))


def _spec_among(what: list[str]) -> RunConfig | None:
    """The run of a YAML file, which stands alone; None for a list of artifacts."""
    from trace_erasure.config_file import load_config

    specs = [text for text in what if Path(text).suffix in (".yaml", ".yml")]
    if not specs:
        return None
    if len(what) > 1:
        raise InputError(f"{specs[0]} is a spec and stands alone. Give it, or files of erasures.")
    return load_config(specs[0])


def _with_strength(text: str) -> tuple[Path, float]:
    """``fox.safetensors:0.5`` as file and strength; 1 where none is given."""
    path, colon, number = text.rpartition(":")
    if not colon or Path(text).exists():
        return Path(text), 1.0
    try:
        return Path(path), float(number)
    except ValueError as error:
        raise InputError(
            f"{text!r}: {number!r} is no strength. Write FILE:0.5, or FILE."
        ) from error
