"""The rows that tables are made of, and which of them may stand together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.core.commit import DIRTY
from benchmarks.tables.schema import Table
from trace_erasure.errors import InputError

Row = Mapping[str, Any]
Key = tuple[str, str, str, str, str, str]  # model, task, method, judge, concept, metric
SHORT = 10
"""Digits of a commit that are shown."""


def read_rows(folder: Path) -> dict[Key, Row]:
    """The rows of all ``<model>/<name>.jsonl`` in ``folder``.

    Raises:
        InputError: a line is no row, or a figure is given twice.
    """
    rows: dict[Key, Row] = {}
    for file in sorted(folder.rglob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                # Judges carry a hash of their weights, resnet@0c1d2e3f4a5b.
                judge = row["judge"].split("@")[0]
                first = row["model"], row["task"], row["method"]
                key = (*first, judge, row["concept"], row["metric"])
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise InputError(
                    f"{file}, line {number} is no row of figures ({error!r}). Run the benchmark "
                    "that makes this file again."
                ) from error
            if key in rows:
                raise InputError(
                    f"{file}, line {number}: {', '.join(key)} is given twice, for seeds "
                    f"{rows[key]['seed']} and {row['seed']}. Keep one of the two."
                )
            rows[key] = row
    return rows


def protocol(row: Row) -> dict[str, str]:
    """``items=520:ab12 steps=20 …`` as a mapping."""
    return dict(part.split("=", 1) for part in row["protocol"].split(" ") if "=" in part)


def check_protocols(name: str, rows: Iterable[Row]) -> dict[str, Row]:
    """The first row of every task.

    Raises:
        InputError: rows of one task were measured differently: they must not stand together.
    """
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(row["task"], row)
        if row["protocol"] != other["protocol"]:
            raise InputError(
                f"table {name!r}: {other['method']!r} and {row['method']!r} were measured "
                f"differently on {row['task']!r} ({other['protocol']} against "
                f"{row['protocol']}). Run the benchmark for both in the same way."
            )
    return first


def code_of(name: str, table: Table, rows: Iterable[Row]) -> str:
    """A sentence about the code that made the rows of a table; empty where no commit is recorded.

    Raises:
        InputError: ``table.code`` does not allow the rows.
    """
    of: dict[str | None, Row] = {}
    for row in rows:
        of.setdefault(row.get("commit"), row)
    known = {commit: row for commit, row in of.items() if commit is not None}
    if None in of and table.code == "one":
        raise InputError(
            f"table {name!r}: {_title(of[None])} has no commit. Run `{table.command}` again, or "
            "allow such rows: `code: unrecorded` in the table's YAML."
        )
    dirty = [row for commit, row in known.items() if commit.endswith(DIRTY)]
    if dirty and table.code != "mixed":
        raise InputError(
            f"table {name!r}: {_title(dirty[0])} was made by code that is no commit's. Commit the "
            f"code and run `{table.command}` again, or allow it: `code: mixed` in the table's YAML."
        )
    if len(of) > 1 and table.code != "mixed":
        first, second = list(of.items())[:2]
        raise InputError(
            f"table {name!r}: {_title(first[1])} is of {_short(first[0])}, {_title(second[1])} of "
            f"{_short(second[0])}. Run `{table.command}` again with one of them, or allow it: "
            "`code: mixed` in the table's YAML."
        )
    if len(of) > 1:
        return f" Rows differ in code: {', '.join(map(_short, of))}."
    return f" At commit {_short(next(iter(known)))}." if known else ""


def _title(row: Row) -> str:
    return f"{row['method']!r} on {row['task']!r}"


def _short(commit: str | None) -> str:
    if commit is None:
        return "no recorded commit"
    head = commit.removesuffix(DIRTY)
    return f"`{head[:SHORT]}{commit[len(head) :]}`"
