"""Files of figures: ``results/<model>/<name>.jsonl``, one row a line, each with its commit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.core.commit import commit
from trace_erasure.evaluation import Row, Verdict
from trace_erasure.evaluation.runs.records import from_json, to_json
from trace_erasure.evaluation.tasks.task import JudgingProtocol, items_digest
from trace_erasure.utils.atomic import atomic

RESULTS = Path(__file__).parents[1] / "results"
COMMIT = "commit"
SHOWN = ("acc_e", "acc_g", "acc_all", "acc_s", "acc_s_relative", "h_o", "blank")
"""Metrics that tables show."""


def rows_file(name: str, model: str, folder: Path = RESULTS) -> Path:
    """Where the rows of one benchmark on one model stand."""
    return folder / model / f"{name}.jsonl"


def write_rows(name: str, model: str, rows: Iterable[Row], folder: Path = RESULTS) -> Path:
    """Replaces ``rows_file``; figures have six digits after the point, and rows the commit."""
    return write_lines(rows_file(name, model, folder), rows)


def write_lines(file: Path, rows: Iterable[Row]) -> Path:
    """``write_rows`` to a file of any name, such as one that is kept under ``--work``."""
    return _write(file, map(_line, rows))


def replace_rows(
    name: str, model: str, rows: Iterable[Row], stays: Callable[[Row], bool], folder: Path = RESULTS
) -> Path:
    """``write_rows``, after those of the file's rows that ``stays`` is true of, as they are."""
    file = rows_file(name, model, folder)
    before = file.read_text("utf-8").splitlines() if file.is_file() else []
    kept = [line for line in before if stays(_row(json.loads(line)))]
    return _write(file, [*kept, *map(_line, rows)])


def read_rows(file: Path) -> list[Row]:
    """The rows of a file, without their commits."""
    return [_row(json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def _row(data: Mapping[str, Any]) -> Row:
    return from_json(Row, {key: value for key, value in data.items() if key != COMMIT})


def _line(row: Row) -> str:
    short = replace(row, value=round(row.value, 6), low=round(row.low, 6), high=round(row.high, 6))
    return json.dumps({**to_json(short), COMMIT: commit()}, ensure_ascii=False)


def _write(file: Path, lines: Iterable[str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as partial:
        partial.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return file


def under_one_protocol(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> list[Row]:
    """``rows`` as of all the items in ``verdicts``, so that they may share a line of a table."""
    how = JudgingProtocol.parse(verdicts[0].protocol)
    whole = str(replace(how, items=items_digest({v.item for v in verdicts})))
    return [replace(row, protocol=whole) for row in rows]


def by_concept(rows: Sequence[Row]) -> list[Row]:
    """All metrics of the mean and the worst, and ``SHOWN`` of every concept."""
    return [row for row in rows if row.concept in ("mean", "worst") or row.metric in SHOWN]


def over_concepts(rows: Sequence[Row]) -> list[Row]:
    """``SHOWN`` of the mean and the worst, for tasks whose rows would else fill megabytes."""
    return [row for row in rows if row.concept in ("mean", "worst") and row.metric in SHOWN]
