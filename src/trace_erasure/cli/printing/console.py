"""Standard output: tables that fit, JSON that any program reads, streams that may be closed."""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from trace_erasure.utils.terminal import printable

NARROWEST = 40
"""Columns: below this a table could not hold its words."""
ASCII = {
    "→": "->", "←": "<-", "×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=",
    "·": "*", "✓": "+", "✗": "!", "“": '"', "”": '"', "’": "'", "\u00a0": " ", "↓": "(low)",
    "↑": "(high)",
}  # fmt: skip
"""What stands for characters that a stream cannot encode; others are escaped."""


class PlainTable(Table):
    """A table without a frame, whose cells never carry control characters to the terminal."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        shown = (printable(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, **options)


def make_table(title: str, *columns: str) -> Table:
    """An empty table; words are broken only where one is wider than the terminal."""
    table = PlainTable(
        title=printable(title),
        title_justify="left",
        title_style="bold",
        show_header=bool(columns),
        box=None,
        pad_edge=False,
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def terminal_width() -> int:
    """Columns of the terminal; ``COLUMNS`` overrides it where it is a positive number."""
    return max(NARROWEST, shutil.get_terminal_size().columns)


def print_table(table: Table) -> None:
    """Prints on stdout, as wide as the terminal."""
    Console(highlight=False, markup=False, width=terminal_width()).print(table)


def print_tables(tables: Iterable[Table]) -> None:
    """Prints tables with an empty line after each."""
    for table in tables:
        print_table(table)
        typer.echo()


def print_result(
    data: Any, shown: Iterable[Table | str], as_json: bool, quiet: bool = False
) -> None:
    """What a verb has to say: ``data`` as JSON where that was asked for, else ``shown``.

    ``quiet`` leaves out ``shown``, but no JSON, which was asked for.
    """
    if as_json:
        print_json(data)
        return
    for part in () if quiet else shown:
        if isinstance(part, str):
            typer.echo(printable(part))
        else:
            print_table(part)


def table_data(table: Table) -> list[dict[str, str]]:
    """The rows of a table by their columns; a column without a head is called ``about``."""
    heads = [str(column.header) or "about" for column in table.columns]
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    return [dict(zip(heads, row, strict=True)) for row in zip(*cells, strict=True)]


def print_json(data: Any) -> None:
    """Prints JSON in the characters that stdout can encode, control characters escaped."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
    text = json.dumps(data, indent=2, ensure_ascii="utf" not in encoding)
    typer.echo("".join(c if printable(c) == c else json.dumps(c)[1:-1] for c in text))


def make_streams_safe() -> None:
    """Lets stdout and stderr write what their encoding lacks, instead of failing there."""
    codecs.register_error("trace-erasure", _substitute)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="trace-erasure")


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    shown = [ASCII.get(one) or one.encode("unicode_escape").decode() for one in lacking]
    return "".join(shown), error.end


def flush_stdout() -> str:
    """Writes what is buffered. Returns what went wrong, or an empty text.

    A closed pipe is no error: the reader has seen enough.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return "" if isinstance(error, BrokenPipeError) else f"cannot write: {error.strerror}."
    return ""
