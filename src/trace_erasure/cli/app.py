"""The application that the verbs join: exit codes, what goes to stderr, folders to write to."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from trace_erasure import __version__
from trace_erasure.errors import (
    FailedErasureWarning,
    InputError,
    NonFiniteError,
    WorkerLostError,
    shown,
)
from trace_erasure.utils.folders import check_path
from trace_erasure.utils.terminal import printable

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure

FAILED, BAD_INPUT, NO_GOOD, INTERRUPTED = 1, 2, 3, 130
"""Exit codes: the machine or the training failed; bad input; an erasure whose verdict is *failed*;
Ctrl-C."""

OF_PATHS = (
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
)
"""What is wrong with a path that a user gave."""


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
        except WorkerLostError as error:
            say(f"{error} What is done is kept; run the command again.")
            raise typer.Exit(FAILED) from error
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno in OF_PATHS and error.filename:
                say(f"{shown(str(error.filename))}: {error.strerror}. Correct the path.")
                raise typer.Exit(BAD_INPUT) from error
            if not (reason := _resource_problem(error)):
                raise
            say(reason)
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as error:
            say(str(error) or "Interrupted. Nothing is half-written; run the command again.")
            raise typer.Exit(INTERRUPTED) from error


def _resource_problem(error: OSError | MemoryError) -> str:
    """What the machine lacks, in a sentence; empty for errors that are ours to mend."""
    if isinstance(error, MemoryError):
        return "Out of memory. Use a smaller --batch, or a machine with more."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM):
        return f"{os.strerror(error.errno)}: {error.filename or 'standard output'}."
    return ""


app = typer.Typer(
    name="trace-erasure",
    cls=Verbs,
    help="Remove concepts from a text-to-image model, and measure what that did.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def say(message: str) -> None:
    """One line on stderr, red where the terminal has colours and NO_COLOR is not set."""
    line = printable(" ".join(message.split()))
    colour = None if os.environ.get("NO_COLOR") else typer.colors.RED
    typer.secho(line, fg=colour, err=True)


def refuse_failed(erasures: Iterable[Erasure], force: bool) -> None:
    """Ends the program with one line and ``NO_GOOD`` where an erasure failed, unless ``force``."""
    said = [one.complaint for one in erasures if one.complaint]
    if said and not force:
        say(" ".join([*said, "Nothing was written; --force writes it all the same."]))
        raise typer.Exit(NO_GOOD)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trace-erasure {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Remove a concept from a text-to-image model, and know that it is gone and what it cost."""


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
        with warnings.catch_warnings():
            # A verb says so itself, with what to do next.
            warnings.simplefilter("ignore", FailedErasureWarning)
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        sys.stderr = stderr


def note_replaced(file: Path) -> None:
    """Logs that a file of an earlier run is about to be replaced; within ``narration``."""
    if file.exists():
        logging.getLogger("trace_erasure").info("%s is there already and is replaced.", file)


class _NoTerminal:
    """A stream that is no terminal, so that progress bars are off."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def output_folder(out: Path) -> Iterator[None]:
    """Makes ``out``; takes it away again if the work fails and leaves nothing in it."""
    made = not os.path.lexists(check_path("--out", out))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {shown(str(out))}: {error.strerror}. Choose another."
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
