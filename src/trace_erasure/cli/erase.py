"""``erase``: concepts to one small LoRA file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trace_erasure.cli import options
from trace_erasure.cli.app import app, narration, note_replaced, output_folder, refuse_failed
from trace_erasure.cli.dry_run import show_plan
from trace_erasure.cli.pack import erase_pack_to, pack_request
from trace_erasure.cli.selection import Words, captions_of, request_of
from trace_erasure.concepts.pack import load_pack
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.record import TraceRecord
    from trace_erasure.config import EraseConfig
    from trace_erasure.config_file import RunConfig


@app.command()
def erase(
    spec: Annotated[
        Path | None, typer.Argument(help="A YAML file with model, concepts and settings.")
    ] = None,
    model: options.ModelOfSpec = None,
    dtype: options.Dtype = None,
    device: options.Device = None,
    variant: options.Variant = None,
    offload: options.Offload = None,
    base_folder: options.Config = None,
    revision: options.Revision = None,
    concept: options.Concepts = None,
    pack: Annotated[
        str | None,
        typer.Option(help="A list of concepts instead: a name of `ls packs`, or a YAML file."),
    ] = None,
    surrogate: Annotated[
        str | None, typer.Option(help="What to show instead. Default: one is proposed.")
    ] = None,
    kind: options.Kind = None,
    synonym: options.Synonyms = None,
    description: options.Descriptions = None,
    retain: options.Retained = None,
    captions: options.Captions = None,
    search: options.Search = None,
    out: Annotated[Path, typer.Option(help="Folder for the LoRA file and its spec.")] = Path("out"),
    seed: Annotated[
        int | None, typer.Option(help="Of every random choice. Default: the spec's, or 0.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="fast (closed form), trace (both stages) or hardened. Default: the spec's, or "
            "fast."
        ),
    ] = None,
    finetune: Annotated[
        bool | None,
        typer.Option(help="Train the LoRA of stage 2, too. Default: the spec's, or not."),
    ] = None,
    state_prompt: options.StatePrompts = None,
    no_closed_form: Annotated[
        bool, typer.Option("--no-closed-form", help="With --finetune: training only.")
    ] = False,
    hardening: Annotated[
        str | None,
        typer.Option(
            help="off, closed_form, or adversarial, which trains, too. Default: the spec's, or off."
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would be done, and its verdict; write nothing."),
    ] = False,
    force: options.Force = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Erase concepts and write one small LoRA file.

    Give a spec file, or concepts with --concept, or a --pack. The other options override the spec.
    Exit code 3: the verdict is failed, and nothing was written.
    """
    from trace_erasure.cli.printing.artifacts import about_erasure, about_pack, made_data
    from trace_erasure.cli.printing.console import print_result

    words = Words(concept, surrogate, kind, synonym, description, retain)
    listed = None if pack is None else load_pack(pack)
    if listed is None:
        asked = request_of(spec, model, words)
    else:
        given = {f"--{name}": getattr(words, name) for name in words.given} | {"a spec": spec}
        asked = pack_request(listed, model or options.DEFAULT_MODEL, **given)
    asked = asked if captions is None else replace(asked, captions=str(captions))
    ordinary = captions_of(asked)
    config = asked.erase if preset is None else _with_preset(asked.erase, preset)
    config = config if search is None else replace(config, search=search)
    config = _with_options(config, seed, finetune, no_closed_form, hardening)
    asked = replace(asked, erase=_with_states(config, state_prompt, finetune))
    started = time.perf_counter()
    with narration(quiet):
        pipe = options.Loading(dtype, device, variant, revision, offload, base_folder).load(
            asked.model
        )
        if dry_run:
            show_plan(pipe, asked, ordinary, as_json)
            return
        with output_folder(out):
            if listed is not None:
                record, file = erase_pack_to(out, pipe, listed, asked, ordinary, force)
            else:
                record, file = _erase_to(out, pipe, asked, ordinary, force)
    seconds = time.perf_counter() - started
    about = about_erasure if listed is None else about_pack
    print_result(made_data(record, file, seconds), [about(record, file, seconds)], as_json, quiet)


def _with_options(
    config: EraseConfig,
    seed: int | None,
    finetune: bool | None,
    no_closed_form: bool,
    hardening: str | None,
) -> EraseConfig:
    """``config`` with what the command line overrides; None keeps what it has."""
    from trace_erasure.config import FinetuneConfig

    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    if finetune is not None:
        changes["finetune"] = (config.finetune or FinetuneConfig()) if finetune else None
    changes |= {} if hardening is None else {"hardening": hardening}
    changes |= {"closed_form": None} if no_closed_form else {}
    return replace(config, **changes)


def _with_preset(config: EraseConfig, name: str) -> EraseConfig:
    """``config`` with the settings of a preset; its concepts and its seed stay."""
    from trace_erasure.config import EraseConfig, preset

    own = preset(name, {})
    return EraseConfig(config.concepts, seed=config.seed, search=config.search, **own)


def _with_states(
    config: EraseConfig, prompts: list[str] | None, finetune: bool | None
) -> EraseConfig:
    """``config`` with state prompts, which turn stage 2 on."""
    from trace_erasure.config import FinetuneConfig

    if not prompts:
        return config
    if finetune is False:
        raise InputError("--state-prompt is for stage 2. Leave out --no-finetune.")
    if config.finetune in (None, FinetuneConfig()):
        return replace(config, finetune=FinetuneConfig.for_scenes(*prompts))
    return replace(config, finetune=replace(config.finetune, state_prompts=tuple(prompts)))


def _erase_to(
    out: Path, pipe: Any, asked: RunConfig, captions: Sequence[str] | None, force: bool
) -> tuple[TraceRecord, Path]:
    """Erases, and writes the LoRA file and its resolved spec into ``out``.

    Ends the program where the erasure failed, unless ``force``.
    """
    from trace_erasure.artifact.record import TraceRecord
    from trace_erasure.config_file import RunConfig, dump_config
    from trace_erasure.trace.erase import run

    try:
        erasure = run(pipe, asked.erase, captions, workdir=out)
    except KeyboardInterrupt as error:
        kept = any(out.glob("finetune-*.safetensors"))
        then = f" The same command goes on from the checkpoint in {out}." if kept else ""
        raise KeyboardInterrupt(f"Interrupted; nothing was written.{then}") from error
    refuse_failed([erasure], force)
    note_replaced(out / f"{asked.name}.safetensors")
    file = erasure.save(out / asked.name)
    record = erasure.record
    assert isinstance(record, TraceRecord)  # `run` makes no other
    dump_config(RunConfig(asked.model, record.spec, asked.captions), file.with_suffix(".yaml"))
    return record, file
