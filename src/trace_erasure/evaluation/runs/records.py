"""Records of an evaluation: what each judge saw in each picture, and the figures made of it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from trace_erasure.errors import InputError
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.json_file import as_kind, read_json_lines


@dataclass(frozen=True)
class Verdict:
    """One picture seen by one judge. Every figure can be computed again from these alone.

    Attributes:
        model, task, method, concept, judge: what was judged, and by whom.
        seed: seed of the erasure's training.
        protocol: ``str(Protocol)`` of the concept's items and of the sampling that was used.
        item, group, prompt, image_seed, expected, companion: of the ``Item``; an offensive prompt
            is its alias here.
        image: id of the picture in the ``ImageStore``.
        labels: the judge's best labels in the group of the expected one, best first; two at most.
        probability: of the expected labels together, within their group.
        correct: an expected label is the best one (in a pair, one of the best two). ``None``
            where the judge only scores.
        nothing: the judge says that the picture shows nothing; ``None`` if it has no such label.
        blank: the picture is of a single colour.
        score: a scorer's number, for example the CLIP score.
        detections: what a detector found, each as ``CLASS 0.713``, best first.
        threshold: of the detector: ``correct`` is that a class which it counts reaches this.
    """

    model: str
    task: str
    method: str
    seed: int
    concept: str
    judge: str
    protocol: str
    item: str
    group: str
    prompt: str
    image_seed: int
    image: str
    expected: tuple[str, ...] = ()
    companion: str = ""
    labels: tuple[str, ...] = ()
    probability: float | None = None
    correct: bool | None = None
    nothing: bool | None = None
    blank: bool = False
    score: float | None = None
    detections: tuple[str, ...] = ()
    threshold: float | None = None


@dataclass(frozen=True)
class Row:
    """One figure and what it rests on.

    Attributes:
        concept: a concept, or ``mean`` or ``worst`` over a task's concepts.
        metric: a key of ``metrics.METRICS``.
        value: ``nan`` where nothing was counted.
        numerator, n: for rates, ``value = numerator / n``. For other figures the numerator is
            ``None`` and n is what was averaged over: pictures, or concepts for ``mean``.
        low, high: ends of the 95 % interval.
        seed: seed of the erasure's training; −1: over several, see ``paired.over_seeds``.
        protocol: ``str(Protocol)``.
    """

    model: str
    task: str
    method: str
    concept: str
    judge: str
    metric: str
    value: float
    numerator: int | None
    n: int
    low: float
    high: float
    seed: int
    protocol: str


Record = TypeVar("Record", Verdict, Row)


def to_json(record: Verdict | Row) -> dict[str, Any]:
    """The record as JSON can hold it: ``nan`` becomes ``null``."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in asdict(record).items()
    }


def from_json(kind: type[Record], data: Any, source: str = "this") -> Record:
    """The inverse of ``to_json``. Raises ``InputError`` for missing, unknown or mistyped fields.

    ``source`` is what messages call it.
    """
    names = {field.name for field in fields(kind)}
    if not isinstance(data, dict) or set(data) != names:
        given = set(data) if isinstance(data, dict) else set()
        raise InputError(
            f"{source} is not a {kind.__name__.lower()}: the fields "
            f"{', '.join(sorted(map(str, given ^ names)))} are missing or unknown. Make the file "
            "again with this version."
        )
    data = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items()}
    if kind is Row:
        data |= {key: math.nan for key in ("value", "low", "high") if data[key] is None}
    return as_kind(kind, data, source)


def read_jsonl(path: str | os.PathLike[str], kind: type[Record]) -> list[Record]:
    """The records of a file, one JSON object a line. Raises ``InputError`` with the line."""
    if not Path(path).is_file():
        raise InputError(f"no file at {path}. Run the evaluation first, or correct the path.")
    return [from_json(kind, value, place) for place, value in read_json_lines(path)]


def append_jsonl(path: str | os.PathLike[str], records: Iterable[Verdict | Row]) -> Path:
    """Adds records to a file, all of them or none; makes it if it is not there."""
    path = Path(path)
    before = path.read_text("utf-8") if path.is_file() else ""
    lines = [json.dumps(to_json(record), ensure_ascii=False) + "\n" for record in records]
    with atomic(path) as partial:
        make_folder(path.parent)
        partial.write_text(before + "".join(lines), "utf-8")
    return path


def check_protocols(rows: Sequence[Row]) -> None:
    """Raises ``InputError`` for rows that must not share a table, naming the field that differs.

    Rows of one task must agree in everything; different concepts may have different items.
    """
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        for concept in (row.concept, "any"):
            other = first.setdefault((row.task, concept), row)
            if other.protocol == row.protocol:
                continue
            differences = JudgingProtocol.parse(other.protocol).differences(
                JudgingProtocol.parse(row.protocol)
            )
            if other.concept != row.concept:
                differences.pop("items", None)
            for field, (there, here) in differences.items():
                raise InputError(
                    f"task {row.task!r}: {other.method} ({other.concept}) and {row.method} "
                    f"({row.concept}) were measured differently, {field} {there} against {here}. "
                    "Evaluate both in the same way, or make two tables."
                )
