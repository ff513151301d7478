"""The command line. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from trace_erasure.concept import KINDS, Concept
from trace_erasure.errors import InputError, NonFiniteError

if TYPE_CHECKING:
    from trace_erasure.spec_file import RunSpec

DEFAULT_MODEL = "emoji-sd"
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Verbs(TyperGroup):
    """Turns errors that users can act on into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            _say(str(error))
            raise typer.Exit(BAD_INPUT) from error
        except NonFiniteError as error:
            _say(f"{error} Nothing was written. A lower learning rate may help.")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            _say(str(error) or "Interrupted. Nothing is half-written; run the command again.")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="trace-erasure",
    cls=Verbs,
    help="Remove a concept from a text-to-image model, and know that it is gone and what it cost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

MODEL_HELP = "A shipped model (see `ls models`), or the folder of a diffusers pipeline."


class Listing(StrEnum):
    """What ``ls`` can list."""

    concepts = "concepts"
    families = "families"
    models = "models"
    objectives = "objectives"


def _say(message: str) -> None:
    """One red line on stderr."""
    line = " ".join(message.split())
    typer.secho(line, fg=typer.colors.RED, err=True)


@contextmanager
def _narration(quiet: bool) -> Iterator[None]:
    """Choices that are made for the user go to stderr; with ``quiet``, neither they nor bars do."""
    log = logging.getLogger("trace_erasure")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level, stderr = log.level, sys.stderr
    if quiet:
        sys.stderr = _NoTerminal(stderr)
    else:
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        sys.stderr = stderr


class _NoTerminal:
    """A stream that says it is no terminal, on which progress bars keep silent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """Makes ``out``; takes it away again if the work fails and leaves nothing in it."""
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {out}: {error.strerror}. Choose another."
        ) from error
    if not os.access(out, os.W_OK):
        raise InputError(f"cannot write to the folder {out}. Choose another.")
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                out.rmdir()
        raise


# Verbs ------------------------------------------------------------------------------------


@app.command()
def erase(
    spec: Annotated[
        Path | None, typer.Argument(help="A YAML file with model, concepts and settings.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help=f"{MODEL_HELP} Default: the spec's, or {DEFAULT_MODEL}.")
    ] = None,
    concept: Annotated[
        list[str] | None, typer.Option(help="What to erase, without an article; repeatable.")
    ] = None,
    surrogate: Annotated[
        str | None, typer.Option(help="What to show instead. Default: one is proposed.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"{', '.join(KINDS)}. Default: {KINDS[0]}.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the LoRA file and its spec.")] = Path("out"),
    seed: Annotated[
        int | None, typer.Option(help="Of every random choice. Default: the spec's, or 0.")
    ] = None,
    no_finetune: Annotated[
        bool, typer.Option("--no-finetune", help="Closed form only: seconds, no training.")
    ] = False,
    no_closed_form: Annotated[
        bool, typer.Option("--no-closed-form", help="Training only.")
    ] = False,
    hardening: Annotated[
        str | None,
        typer.Option(help="off, closed_form or adversarial. Default: the spec's, or off."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, and write nothing.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")] = False,
) -> None:
    """Erase concepts and write one small LoRA file.

    Give a spec file, or concepts with --concept. The other options override the spec.
    """
    from trace_erasure.erase import run
    from trace_erasure.loading import load
    from trace_erasure.spec_file import RunSpec, dump_spec, spec_of
    from trace_erasure.terminal import about_erasure, print_table

    asked = _asked(spec, model, concept, surrogate, kind)
    changes: dict[str, Any] = {} if seed is None else {"seed": seed}
    changes |= {"finetune": None} if no_finetune else {}
    changes |= {"closed_form": None} if no_closed_form else {}
    changes |= {} if hardening is None else {"hardening": hardening}
    asked = replace(asked, erase=replace(asked.erase, **changes))
    started = time.perf_counter()
    with _narration(quiet):
        pipe = load(asked.model)
        if dry_run:
            _show_plan(pipe, asked)
            return
        with _folder(out):
            try:
                erasure = run(pipe, asked.erase, workdir=out)
            except KeyboardInterrupt as error:
                kept = any(out.glob("finetune-*.safetensors"))
                then = f" The same command goes on from the checkpoint in {out}." if kept else ""
                raise KeyboardInterrupt(f"Interrupted; nothing was written.{then}") from error
            file = erasure.save(out / asked.name)
            resolved = RunSpec(asked.model, spec_of(erasure.record["spec"]))
            dump_spec(resolved, file.with_suffix(".yaml"))
    if not quiet:
        print_table(about_erasure(erasure.record, file, time.perf_counter() - started))


@app.command()
def generate(
    prompt: Annotated[list[str], typer.Option(help="What to draw; repeatable.")],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = DEFAULT_MODEL,
    erasure: Annotated[Path | None, typer.Option(help="A file that `erase` wrote.")] = None,
    strength: Annotated[
        float | None, typer.Option(help="Of the erasure, 0 to 2. Default: 1, as made.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the first picture of every prompt.", min=0)] = 0,
    count: Annotated[int, typer.Option(help="Pictures a prompt, seeds counting up.", min=1)] = 1,
    steps: Annotated[int, typer.Option(help="Sampler steps.", min=1)] = 20,
    guidance_scale: Annotated[float, typer.Option(help="1 is no guidance.")] = 3.5,
    out: Annotated[Path, typer.Option(help="Folder for the PNG files.")] = Path("out"),
) -> None:
    """Draw pictures, with an erasure or without: the same seeds show the difference."""
    from trace_erasure.erasure import Erasure
    from trace_erasure.files import atomic
    from trace_erasure.generate import generate as draw
    from trace_erasure.loading import load
    from trace_erasure.spec_file import slug

    if erasure is None and strength is not None:
        raise InputError(f"strength {strength} belongs to an erasure. Add --erasure FILE.")
    removal = None if erasure is None else Erasure.load(erasure)
    pipe = load(model)
    if removal is not None:
        removal.attach(pipe, 1.0 if strength is None else strength)
    wanted = [(i, text, seed + k) for i, text in enumerate(prompt, 1) for k in range(count)]
    with _folder(out):
        images = draw(
            pipe,
            [text for _, text, _ in wanted],
            [number for _, _, number in wanted],
            steps=steps,
            guidance_scale=guidance_scale,
        )
        for (i, text, number), image in zip(wanted, images, strict=True):
            file = out / f"{i:02}-{slug(text)}-seed{number}.png"
            with atomic(file) as partial:
                image.save(partial, format="PNG")
            typer.echo(file)


@app.command()
def info(
    file: Annotated[Path, typer.Argument(help="A file that `erase` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Say what a file erases, from which model, and how it was made. Reads the header only."""
    from trace_erasure.header import read_header
    from trace_erasure.terminal import about_header, print_table

    header = read_header(file)
    if as_json:
        whole = {**header.provenance, "metadata": header.metadata, "bytes": header.size}
        typer.echo(json.dumps(whole, indent=2, sort_keys=True, ensure_ascii=False))
        return
    print_table(about_header(file, header))


@app.command()
def certify(
    file: Annotated[Path, typer.Argument(help="A file that `erase` wrote.")],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = DEFAULT_MODEL,
    paths: Annotated[
        int, typer.Option(help="Sampling paths for each comparison; 0: exact part only.", min=0)
    ] = 16,
    steps: Annotated[int, typer.Option(help="Sampler steps.", min=1)] = 20,
    guidance_scale: Annotated[float, typer.Option(help="1 is no guidance.")] = 3.5,
    noise_level: Annotated[
        float | None, typer.Option(help="τ between early and late. Default: the file's, or 0.5.")
    ] = None,
    gate: Annotated[
        float | None, typer.Option(help="Certify the gated use up to this noise level.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the certificate into the file too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Say what can be guaranteed of an erasure on a model: exactly, and with confidence."""
    from trace_erasure.erasure import Erasure
    from trace_erasure.guarantees.certify import certified
    from trace_erasure.guarantees.certify import certify as certify_erasure
    from trace_erasure.loading import load
    from trace_erasure.terminal import about_guarantee, print_table

    erasure = Erasure.load(file)
    with _narration(quiet=False):
        found = certify_erasure(
            load(model),
            erasure,
            paths=paths,
            steps=steps,
            guidance_scale=guidance_scale,
            noise_level=noise_level,
            gate=gate,
        )
    if write:
        certified(erasure, found).save(file)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False))
        return
    for table in about_guarantee(found):
        print_table(table)
        typer.echo()


@app.command()
def forecast(
    concept: Annotated[str, typer.Option(help="What would be erased, without an article.")],
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = DEFAULT_MODEL,
    surrogate: Annotated[
        str | None, typer.Option(help="What would be shown instead. Default: one is proposed.")
    ] = None,
    kind: Annotated[str, typer.Option(help=f"{', '.join(KINDS)}.")] = KINDS[0],
    name: Annotated[
        list[str] | None, typer.Option(help="What to look at; repeatable. Default: a vocabulary.")
    ] = None,
    most: Annotated[int, typer.Option(help="How many names to show.", min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Say what an erasure would do to other names, before anything is erased or drawn."""
    from dataclasses import asdict

    from trace_erasure.guarantees.collateral import outlook
    from trace_erasure.loading import load
    from trace_erasure.terminal import about_outlook, print_table

    with _narration(quiet=False):
        found = outlook(load(model), Concept(concept, surrogate, kind), name)
    if as_json:
        whole = {**asdict(found), "warnings": found.warnings}
        text = json.dumps(whole, indent=2, ensure_ascii=False)
        typer.echo(text.replace("Infinity", "null"))
        return
    for table in about_outlook(found, most):
        print_table(table)
        typer.echo()


@app.command()
def ls(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> None:
    """List what there is to choose from."""
    from trace_erasure import terminal

    terminal.print_table(getattr(terminal, what.value)())


@app.command()
def validate(spec: Annotated[Path, typer.Argument(help="A YAML file for `erase`.")]) -> None:
    """Check a spec file and write it out with every default."""
    from trace_erasure.spec_file import load_spec, to_yaml

    typer.echo(to_yaml(load_spec(spec)), nl=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("demo-out"),
) -> None:
    """Erase an object, a style and a person from the shipped model, and show what came of it.

    Takes some minutes; broken off, it goes on where it was.
    """
    from trace_erasure.demo import run_demo

    with _narration(quiet=False), _folder(out):
        try:
            run_demo(out)
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt("Interrupted. The same command goes on from there.") from error


# What the verbs are made of ---------------------------------------------------------------


def _asked(
    spec: Path | None,
    model: str | None,
    concept: list[str] | None,
    surrogate: str | None,
    kind: str | None,
) -> RunSpec:
    """The run from a spec file or from --concept, never from both."""
    from trace_erasure.spec import EraseSpec
    from trace_erasure.spec_file import RunSpec, load_spec

    if spec is not None:
        for name, given in (("concept", concept), ("surrogate", surrogate), ("kind", kind)):
            if given:
                raise InputError(f"--{name} and {spec} both say what to erase. Give one of them.")
        run = load_spec(spec)
        return run if model is None else replace(run, model=model)
    if not concept:
        raise InputError("nothing to erase. Give --concept fox, or a spec file.")
    made = tuple(Concept(phrase, surrogate, kind or KINDS[0]) for phrase in concept)
    return RunSpec(model or DEFAULT_MODEL, EraseSpec(made))


def _show_plan(pipe: Any, asked: RunSpec) -> None:
    """What ``erase`` would do: the resolved spec as YAML on stdout, the rest on stderr."""
    from trace_erasure.denoiser import Denoiser
    from trace_erasure.erase import plan
    from trace_erasure.spec_file import to_yaml

    planned = plan(Denoiser(pipe), asked.erase)
    typer.echo(to_yaml(replace(asked, erase=planned.spec)), nl=False)
    typer.echo(f"retained: {'; '.join(planned.retain) or 'nothing named'}", err=True)
    typer.echo(f"ordinary captions: {len(planned.captions)}. Nothing was written.", err=True)


def main() -> None:
    """The ``trace-erasure`` command."""
    app()
