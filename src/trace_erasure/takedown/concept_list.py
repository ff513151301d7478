"""Lists of concepts as people keep them: a CSV table, or a text file with a phrase a line."""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.takedown.changes import NewRequest
from trace_erasure.utils.safe_yaml import read_text

SINGLE = ("kind", "surrogate", "only_with")
SEVERAL = ("synonyms", "descriptions", "retain", "templates")
"""Columns whose phrases are separated by semicolons."""
COLUMNS = ("concept", *SINGLE, *SEVERAL, "reference")


def read_list(path: str | Path) -> list[NewRequest]:
    """The requests in a ``.csv`` or a ``.txt`` file, in its order.

    A CSV has a first line that names its columns, some of ``COLUMNS``. Lines with the same
    reference are one request. In a text file empty lines and those that begin with # say nothing.

    Raises:
        InputError: the file cannot be read, or a line is bad; the message names the file, the
            line and the field.
    """
    path = Path(path)
    readers = {".csv": _table, ".txt": _lines}
    if (reader := readers.get(path.suffix.lower())) is None:
        raise InputError(
            f"{path} is no list: its name ends in {path.suffix or 'nothing'}. Give a .csv table "
            "or a .txt file with a phrase a line."
        )
    together: dict[str | int, list[tuple[Concept, str, str | None]]] = {}
    for line, values in reader(path):
        reference = values.pop("reference", None)
        place = f"{path}, line {line}"
        found = (_concept(values, place), f"{place}: ", reference)
        together.setdefault(line if reference is None else reference, []).append(found)
    if not together:
        raise InputError(f"{path} names no concept. Give one a line.")
    return [
        NewRequest(tuple(c for c, _, _ in group), group[0][2], tuple(p for _, p, _ in group))
        for group in together.values()
    ]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"concept": line}


def _table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and what is filled in, by column, for every line of a CSV."""
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    line, columns = 1, None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputError(f"{path}, line {rows.line_num}: {error}. Correct it.") from error
        if columns is None:
            columns = _checked(row, path)
        elif any(cell.strip() for cell in row):
            if len(row) > len(columns):
                raise InputError(
                    f"{path}, line {line}: {len(row)} fields for {len(columns)} columns. Put "
                    "quotes round a field that has a comma in it."
                )
            yield line, {c: cell for c, cell in zip(columns, row, strict=False) if cell.strip()}
        line = rows.line_num + 1


def _checked(row: list[str], path: Path) -> list[str]:
    """The names of the columns. Raises ``InputError`` for those that there are not."""
    columns = [cell.strip().lower() for cell in row]
    for column in columns:
        if column not in COLUMNS:
            close = difflib.get_close_matches(column, COLUMNS, n=1, cutoff=0.4)
            nearest = f"; the nearest is {close[0]!r}" if close else ""
            raise InputError(
                f"{path}, line 1: unknown column {column!r}{nearest}. The first line names the "
                f"columns, with commas between them; allowed: {', '.join(COLUMNS)}."
            )
        if columns.count(column) > 1:
            raise InputError(f"{path}, line 1: the column {column!r} is there twice.")
    if "concept" not in columns:
        raise InputError(f"{path}, line 1: there is no column 'concept'. Add it.")
    return columns


def _concept(values: Mapping[str, str], place: str) -> Concept:
    """The concept of a line. Raises ``InputError`` with the field that is at fault."""
    if "concept" not in values:
        raise InputError(f"{place}, concept: it is empty. Name what to erase.")
    given: dict[str, Any] = {}
    concept: Concept | None = None
    # Field after field, so that the one that makes it impossible is known.
    for column in ("concept", *SINGLE, *SEVERAL):
        if column not in values:
            continue
        cell = values[column]
        parts = [part.strip() for part in cell.split(";") if part.strip()]
        value = parts if column in SEVERAL else cell.strip()
        given["phrase" if column == "concept" else column] = value
        try:
            concept = Concept(**given)
        except InputError as error:
            raise InputError(f"{place}, {column}: {error}") from error
    assert concept is not None
    return concept
