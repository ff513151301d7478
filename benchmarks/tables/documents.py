"""Writes the measured tables into README.md and docs/**/*.md, from benchmarks/results/*.jsonl.

    python benchmarks/tables.py

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``, each on a line of its own;
``table_list.TABLES`` says what NAME shows. What has not been measured is a dash. Needs no package
but Python.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.tables.definitions import TABLES, Table

DASH = "—"
BLOCK = re.compile(r"^<!-- table:(\S+) -->\n(.*?)^<!-- /table -->$", re.MULTILINE | re.DOTALL)
OPENING = re.compile(r"^<!-- table:", re.MULTILINE)

Row = Mapping[str, Any]
Key = tuple[str, str, str, str, str, str]  # model, task, method, judge, concept, metric


# Rows -------------------------------------------------------------------------------------


def read_rows(folder: Path) -> dict[Key, Row]:
    """The rows of all ``*.jsonl`` files in ``folder``. Exits where a figure is given twice."""
    rows: dict[Key, Row] = {}
    for file in sorted(folder.glob("*.jsonl")):
        for number, line in enumerate(file.read_text("utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                # Judges carry a hash of their weights, resnet@0c1d2e3f4a5b.
                judge = row["judge"].split("@")[0]
                key = (
                    row["model"],
                    row["task"],
                    row["method"],
                    judge,
                    row["concept"],
                    row["metric"],
                )
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                sys.exit(f"{file}, line {number} is no row of figures ({error!r}). Run bench.py.")
            if key in rows:
                sys.exit(
                    f"{file}, line {number}: {', '.join(key)} is given twice, for seeds "
                    f"{rows[key]['seed']} and {row['seed']}. Keep one of the two."
                )
            rows[key] = row
    return rows


def protocol(row: Row) -> dict[str, str]:
    """``items=520:ab12 steps=20 …`` as a mapping."""
    return dict(part.split("=", 1) for part in row["protocol"].split(" ") if "=" in part)


# Tables -----------------------------------------------------------------------------------


def lines(table: Table) -> Iterator[tuple[tuple[str, str, str, str], list[str]]]:
    """(model, task, method, judge) and the labels of each line, less those that never vary."""
    for task, task_label in table.tasks.items():
        for method, method_label in table.methods.items():
            for judge, judge_label in table.judges.items():
                shown = [(table.tasks, task_label), (table.methods, method_label)]
                shown.append((table.judges, judge_label))
                yield (
                    (table.model, task, method, judge),
                    [x for names, x in shown if len(names) > 1],
                )


def cell(row: Row | None, form: str | None = None) -> str:
    """``3.2 (1.0 to 9.1)`` in per cent, or by ``form``; a dash where nothing was measured."""
    if row is None or row["value"] is None:
        return DASH
    if form is not None:
        return form.format(row["value"])
    text = f"{100 * row['value']:.1f}"
    if row["low"] is None or row["high"] is None:
        return text
    return f"{text} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def render(name: str, rows: Mapping[Key, Row]) -> str:
    """The Markdown of one table, with how it was measured and made below it.

    Exits where lines of one task were measured differently: they must not stand together.
    """
    table = TABLES[name]
    titles = [(table.heading, table.tasks), ("method", table.methods), ("judge", table.judges)]
    head = [title for title, names in titles if len(names) > 1]
    text = [
        "| " + " | ".join([*head, *(column.title for column in table.columns)]) + " |",
        "|" + "|".join(["---"] * len(head) + ["---:"] * len(table.columns)) + "|",
    ]
    used: dict[str, Row] = {}
    for key, labels in lines(table):
        model, task, method, judge = key
        found = [
            rows.get((model, task, c.method or method, c.judge or judge, c.concept, c.metric))
            for c in table.columns
        ]
        if table.sparse and not any(found):
            continue
        for row in filter(None, found):
            first = used.setdefault(row["task"], row)
            if row["protocol"] != first["protocol"]:
                sys.exit(
                    f"table {name!r}: {first['method']!r} and {row['method']!r} were measured "
                    f"differently on {row['task']!r} ({first['protocol']} against "
                    f"{row['protocol']}). Run bench.py for both in the same way."
                )
        cells = [cell(row, column.form) for row, column in zip(found, table.columns, strict=True)]
        text.append("| " + " | ".join([*labels, *cells]) + " |")
    if table.sparse and not used:
        text = []
    text += [
        *([""] if text else []),
        f"{_measured(table, used, rows)} `{table.command}`, then `python benchmarks/tables.py`.",
    ]
    return "\n".join(text) + "\n"


def _measured(table: Table, used: Mapping[str, Row], rows: Mapping[Key, Row]) -> str:
    """What the figures rest on, in a sentence or two."""
    if not used:
        return "Not measured yet. To fill it:"
    if table.note is not None:
        first, *others = (protocol(row) for row in used.values())
        same = [f"{k} {v}" for k, v in first.items() if all(how.get(k) == v for how in others)]
        return f"{table.note} With {' '.join(same)}. Made by"
    parts = []
    for task, row in used.items():
        how = protocol(row)
        means = [
            r
            for key, r in rows.items()
            if key[:3] == (table.model, task, row["method"]) and key[4] == "mean"
        ]
        count = means[0]["n"] if means else 0
        counted = f"{count} concept{'s' * (count != 1)}, " if count else ""
        parts.append(
            f"{table.tasks[task]}: {counted}"
            f"{how['items'].split(':')[0]} items, {how['steps']} steps, "
            f"guidance scale {how['guidance_scale']}"
        )
    return f"Per cent, mean over concepts, 95 % intervals. {'; '.join(parts)}. Made by"


# Files ------------------------------------------------------------------------------------


def rewrite(root: Path) -> list[Path]:
    """Fills every marked table under ``root``; returns the files that changed.

    Exits, with nothing written, for a marker that is not in ``TABLES`` or is never closed.
    """
    rows = read_rows(root / "benchmarks" / "results")
    after: dict[Path, str] = {}
    for file in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        if not file.is_file():
            continue
        before = file.read_text("utf-8")
        blocks = [match[1] for match in BLOCK.finditer(before)]
        if len(blocks) != len(OPENING.findall(before)):
            sys.exit(f"{file}: a table is never closed. Add a line <!-- /table --> below it.")
        for name in blocks:
            if name not in TABLES:
                sys.exit(f"{file}: no table is called {name!r}. Known: {', '.join(TABLES)}.")
        text = BLOCK.sub(
            lambda m: f"<!-- table:{m[1]} -->\n{render(m[1], rows)}<!-- /table -->", before
        )
        if text != before:
            after[file] = text
    for file, text in after.items():
        partial = file.with_name(f".{file.name}.part")
        partial.write_text(text, "utf-8")
        os.replace(partial, file)
    return [*after]


def main() -> None:
    for path in rewrite(Path(__file__).resolve().parents[2]):
        print(path)


if __name__ == "__main__":
    main()
