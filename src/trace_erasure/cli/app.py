"""The application that the verbs join: exit codes, what goes to stderr, folders to write to."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from trace_erasure.errors import InputError, NonFiniteError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Verbs(TyperGroup):
    """Turns errors that users can act on into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            say(str(error))
            raise typer.Exit(BAD_INPUT) from error
        except NonFiniteError as error:
            say(f"{error} Nothing was written. A lower learning rate may help.")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            say(str(error) or "Interrupted. Nothing is half-written; run the command again.")
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    name="trace-erasure",
    cls=Verbs,
    help="Remove concepts from a text-to-image model, and measure what that did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def say(message: str) -> None:
    """One red line on stderr."""
    line = " ".join(message.split())
    typer.secho(line, fg=typer.colors.RED, err=True)


@contextmanager
def narration(quiet: bool) -> Iterator[None]:
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
def output_folder(out: Path) -> Iterator[None]:
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
