"""Tables of an evaluation in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table

from trace_erasure.cli.printing.console import make_table, print_table, terminal_width
from trace_erasure.utils.terminal import printable

if TYPE_CHECKING:
    from trace_erasure.evaluation.report.tables import Number
    from trace_erasure.evaluation.report.tables import Table as Figures

GAP = 2
"""Columns between two columns of a table."""


def print_figures(figures: Figures) -> None:
    """Prints a table of an evaluation, in as many parts as the terminal's width asks for."""
    for part in figure_tables(figures, terminal_width()):
        print_table(part)


def figure_tables(figures: Figures, width: int) -> list[Table]:
    """The table, every interval and count below its figure.

    Columns of figures that do not fit beside each other go to further tables, which repeat the
    columns of names: nothing is broken inside a word.
    """
    rows = [tuple(map(_text, row)) for row in figures.rows]
    first = figures.rows[0] if figures.rows else figures.columns
    keys = [i for i, cell in enumerate(first) if isinstance(cell, str)]
    values = [i for i in range(len(figures.columns)) if i not in keys]
    columns = [(name, *(row[i] for row in rows)) for i, name in enumerate(figures.columns)]
    room = width - sum(_longest(columns[i], words=True) + GAP for i in keys)
    parts: list[list[int]] = [[]]
    used = 0
    for i in values:
        needed = _longest(columns[i]) + GAP
        if parts[-1] and used + needed > room:
            parts.append([])
            used = 0
        parts[-1].append(i)
        used += needed
    tables = []
    for part in parts:
        table = make_table(figures.title if not tables else "")
        table.show_header = True
        for i in (*keys, *part):
            table.add_column(printable(figures.columns[i]), overflow="fold", no_wrap=i in part)
        for row in rows:
            table.add_row(*(row[i] for i in (*keys, *part)))
        tables.append(table)
    tables[-1].caption, tables[-1].caption_justify = printable(figures.caption), "left"
    return tables


def _text(cell: str | Number) -> str:
    if isinstance(cell, str):
        return cell
    return f"{cell.text}\n{cell.detail}" if cell.detail else cell.text


def _longest(cells: Sequence[str], words: bool = False) -> int:
    """The width of the longest line, or of the longest word, of ``cells``."""
    parts = [part for cell in cells for part in (cell.split() if words else cell.splitlines())]
    return max(map(cell_len, parts), default=0)
