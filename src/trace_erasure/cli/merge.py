"""``merge``: several erasures as one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, note_replaced, output_folder, refuse_failed
from trace_erasure.cli.jobs import EraseEachJob, Fleet
from trace_erasure.cli.selection import model_of, spec_among
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.record import MergedRecord


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
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    out: Annotated[Path, typer.Option(help="Folder for the LoRA file.")] = Path("out"),
    strength: Annotated[float, typer.Option(help="Of all together, 0 to 2.")] = 1.0,
    rank: Annotated[
        int | None, typer.Option(help="The most that the file may have. Default: all it needs.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N, with a spec: only make every N-th concept's file, from the I-th."),
    ] = None,
    engine: options.Engine = "local",
    workers: options.Workers = 1,
    engine_option: options.EngineOption = None,
    dense: Annotated[
        bool, typer.Option("--dense", help="Write a whole pipeline with changed weights.")
    ] = False,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Put erasures together: solved jointly, nothing trained again, one LoRA file.

    To add or remove a concept, merge the new list. Broken off, the same command goes on.
    """
    from trace_erasure.cli.printing.artifacts import about_merged, made_data
    from trace_erasure.cli.printing.console import print_result
    from trace_erasure.trace.erase_each import erase_each
    from trace_erasure.utils.sharding import parse_shard

    run = spec_among(what)
    if shard is not None and run is None:
        raise InputError(f"shard {shard} is for a spec, whose concepts are made. Leave it out.")
    share = parse_shard(shard) if shard else (0, 1)
    fleet = Fleet(engine, workers, engine_option or ())
    fleet.check(shard)
    if fleet.remote and run is None:
        raise InputError(f"--engine {engine} is for a spec, whose concepts are made. Leave it out.")
    parts = [] if run is not None else [_with_strength(text) for text in what]
    started = time.perf_counter()
    with narration(quiet), output_folder(out):
        loading = options.Loading(dtype, device, variant, revision, offload, base_folder)
        if fleet.remote and run is not None:
            job = EraseEachJob(model_of(model, run), loading, run.erase, out / "parts")
            fleet.run(job, out, most=len(run.erase.concepts))
        pipe = loading.load(model_of(model, run))
        if run is not None:
            files = erase_each(pipe, run.erase, out / "parts", shard=share)
            if shard is not None:
                made = [str(file) for file in files]
                print_result({"files": made}, made, as_json)
                return
            parts = [(file, 1.0) for file in files]
        record, file = _merge_to(out, pipe, parts, strength, rank, dense, force)
    seconds = time.perf_counter() - started
    table = about_merged(record, file, seconds)
    print_result(made_data(record, file, seconds), [table], as_json, quiet)


def _merge_to(
    out: Path,
    pipe: Any,
    parts: Sequence[tuple[Path, float]],
    strength: float,
    rank: int | None,
    dense: bool,
    force: bool,
) -> tuple[MergedRecord, Path]:
    """Merges files, each at its own strength times ``strength``, and writes the result.

    Ends the program where it failed, unless ``force``.
    """
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.config import MergeConfig
    from trace_erasure.config_file import file_name
    from trace_erasure.trace.merge import merge as merge_erasures

    merged = merge_erasures(
        [Erasure.load(file) for file, _ in parts],
        pipe,
        strengths=[own * strength for _, own in parts],
        settings=MergeConfig(rank=rank),
    )
    refuse_failed([merged], force)
    name = file_name([concept.phrase for concept in merged.record.concepts])
    if dense:
        merged.fuse(pipe).save_pretrained(out / name)
        return merged.record, out / name
    note_replaced(out / f"{name}-merged.safetensors")
    return merged.record, merged.save(out / f"{name}-merged")


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
