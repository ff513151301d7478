"""Figures laid out as tables, for pages, Markdown and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from trace_erasure.errors import InputError
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.runs.records import Row, check_protocols, to_json
from trace_erasure.utils.markdown import escape_markdown

KEYS = ("task", "model", "method", "concept", "judge", "seed")
ALWAYS = ("method", "concept")
DEFAULT = ("acc_e", "acc_g", "acc_s", "acc_s_relative", "h_o", "clip_e", "clip_g", "clip_s")
ARROWS = {"low": "↓", "high": "↑"}


@dataclass(frozen=True)
class Number:
    """A figure as it is printed, and its interval and count in small type."""

    text: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A titled table; a column whose cells are ``Number`` is set to the right.

    ``folded``: on a page it opens with a click.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Number, ...], ...]
    caption: str = ""
    folded: bool = False


def number(row: Row) -> Number:
    """``93.1``, with ``90.2 to 95.5, n 112`` beside it; rates in per cent."""
    if math.isnan(row.value):
        return Number("n/a", f"n {row.n}")
    scale = 100 if METRICS[row.metric].percent else 1
    detail = f"n {row.n}"
    if not math.isnan(row.low):
        detail = f"{scale * row.low:.1f} to {scale * row.high:.1f}, {detail}"
    return Number(f"{scale * row.value:.1f}", detail)


def rows_table(rows: Sequence[Row], title: str = "", metrics: Sequence[str] | None = None) -> Table:
    """One line for each model, task, method, concept, judge and seed; one column a metric.

    What is the same everywhere moves from the columns to the caption, which also says what the
    metrics mean and on how many items they rest.

    Raises:
        InputError: rows were measured differently (see ``check_protocols``), one figure is given
            twice, or a metric is unknown.
    """
    for metric in metrics or ():
        if metric not in METRICS:
            raise InputError(f"unknown metric {metric!r}. Known: {', '.join(METRICS)}.")
    found = {row.metric for row in rows}
    chosen = [metric for metric in (metrics or DEFAULT) if metric in found]
    rows = [row for row in rows if row.metric in chosen]
    check_protocols(rows)
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in rows:
        line = lines.setdefault(tuple(str(getattr(row, key)) for key in KEYS), {})
        if row.metric in line:
            raise InputError(
                f"{row.method}, {row.concept}: {row.metric} is given twice. "
                "Remove one of the two from the rows."
            )
        line[row.metric] = row
    varies = {key: len({line[i] for line in lines}) > 1 for i, key in enumerate(KEYS)}
    shown = [i for i, key in enumerate(KEYS) if key in ALWAYS or varies[key]]
    first = next(iter(lines), ())
    common = [f"{KEYS[i]} {value}" for i, value in enumerate(first) if i not in shown]
    meanings = [f"{METRICS[metric].title}: {METRICS[metric].meaning}" for metric in chosen]
    notes = ["; ".join(common), "; ".join(meanings), "Rates in per cent, 95 % intervals, counts."]
    return Table(
        title=title,
        columns=(
            *(KEYS[i] for i in shown),
            *(f"{METRICS[metric].title} {ARROWS[METRICS[metric].better]}" for metric in chosen),
        ),
        rows=tuple(
            (
                *(key[i] for i in shown),
                *(number(line[m]) if m in line else Number("") for m in chosen),
            )
            for key, line in lines.items()
        ),
        caption=". ".join(filter(None, notes)) if lines else "",
    )


def to_markdown(
    rows: Sequence[Row] | Table, title: str = "", metrics: Sequence[str] | None = None
) -> str:
    """A table, or the ``rows_table`` of rows (which raises the same errors), as Markdown."""
    table = rows if isinstance(rows, Table) else rows_table(rows, title, metrics)
    right = [bool(table.rows) and isinstance(c, Number) for c in (table.rows or [()])[0]]
    lines = [f"### {escape_markdown(table.title)}\n"] if table.title else []
    lines.append("| " + " | ".join(map(_plain, table.columns)) + " |")
    lines.append("|" + "|".join("---:" if r else "---" for r in right) + "|")
    lines += ["| " + " | ".join(map(_plain, row)) + " |" for row in table.rows]
    lines += ["", escape_markdown(table.caption, code=True)] if table.caption else []
    return "\n".join(lines) + "\n"


def _plain(cell: str | Number) -> str:
    if isinstance(cell, Number):
        return f"{cell.text} ({cell.detail})" if cell.detail else cell.text
    return escape_markdown(cell)


def to_json_text(rows: Sequence[Row]) -> str:
    """All rows as a JSON list, ``nan`` as ``null``."""
    return json.dumps([to_json(row) for row in rows], indent=1, ensure_ascii=False)
