"""One table as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.tables.rows import Key, Row, check_protocols, code_of, protocol
from benchmarks.tables.schema import Table

DASH = "—"
COMMAND = "python -m benchmarks tables"


def render(name: str, table: Table, rows: Mapping[Key, Row]) -> str:
    """The Markdown of one table, with how it was measured and made below it.

    Raises:
        InputError: rows were measured differently, or by code that ``table.code`` does not allow.
    """
    titles = [(table.heading, table.tasks), ("method", table.methods), ("judge", table.judges)]
    head = [title for title, names in titles if len(names) > 1]
    text = [
        "| " + " | ".join([*head, *(column.title for column in table.columns)]) + " |",
        "|" + "|".join(["---"] * len(head) + ["---:"] * len(table.columns)) + "|",
    ]
    used: list[Row] = []
    for (model, task, method, judge), labels in lines(table):
        found = [
            rows.get((model, task, c.method or method, c.judge or judge, c.concept, c.metric))
            for c in table.columns
        ]
        if table.sparse and not any(found):
            continue
        used += filter(None, found)
        cells = [cell(row, column.form) for row, column in zip(found, table.columns, strict=True)]
        text.append("| " + " | ".join([*labels, *cells]) + " |")
    if table.sparse and not used:
        text = []
    basis = measured(table, check_protocols(name, used), rows)
    made = f"{basis} `{table.command}`, then `{COMMAND}`.{code_of(name, table, used)}"
    return "\n".join([*text, *([""] if text else []), made]) + "\n"


def lines(table: Table) -> Iterator[tuple[tuple[str, str, str, str], list[str]]]:
    """(model, task, method, judge) and the labels of each line, less those that never vary."""
    for task, task_label in table.tasks.items():
        for method, method_label in table.methods.items():
            for judge, judge_label in table.judges.items():
                shown = [(table.tasks, task_label), (table.methods, method_label)]
                shown.append((table.judges, judge_label))
                yield (
                    (table.model, task, method, judge),
                    [label for names, label in shown if len(names) > 1],
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


def measured(table: Table, used: Mapping[str, Row], rows: Mapping[Key, Row]) -> str:
    """What the figures rest on, in a sentence or two; ``used`` has a row of every task."""
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
