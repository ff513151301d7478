"""What the demonstration shows: a table in the terminal, pictures, and one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.table import Table as TerminalTable

from trace_erasure.contact_sheet import Column, contact_sheet
from trace_erasure.evaluate.grids import Card, Grid, Picture, words
from trace_erasure.evaluate.plots import Series, line_plot
from trace_erasure.evaluate.report import Plot, Section, Text, manifest, write_report
from trace_erasure.evaluate.rows import Row, Verdict
from trace_erasure.evaluate.summary import summarise
from trace_erasure.evaluate.tables import Number, Table, number
from trace_erasure.evaluate.task import Task
from trace_erasure.generate import ImageStore

COLUMNS = 6
CARDS = 12
METRICS = {"acc_e": "concept seen", "acc_s": "others seen"}
CERTIFICATE = {
    "residual_listed": "left of the concept in the sentences of the solve; 0 is exact",
    "residual_held_out": "the same in wordings that the solve never saw",
    "expected_collateral": "expected relative squared change on broad captions",
    "empty_prompt": "relative change of the empty prompt, which guidance subtracts",
    "recovery_margin": "least distance of any embedding from the concept's keys and values",
    "capacity": "share of the embedding's dimensions that the constraints use",
    "discarded": "share of the concept outside the redirected directions",
    "rank": "of the edit",
    "size": "Frobenius norm of the edit; large is ill-conditioned",
}


@dataclass(frozen=True)
class Result:
    """One erased concept and what the judges say.

    Attributes:
        record: of its ``Erasure``.
        steps: the fields of every ``StepRecord``.
        seconds: that erasing took.
        before, after: verdicts on the same items.
        neighbours: ids of the retained items that lie nearest to the concept.
    """

    concept: str
    record: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    seconds: float
    before: Sequence[Verdict]
    after: Sequence[Verdict]
    neighbours: set[str]

    @property
    def surrogate(self) -> str:
        return self.record["spec"]["concepts"][0]["surrogate"]

    @property
    def judges(self) -> list[str]:
        return list(dict.fromkeys(verdict.judge for verdict in self.before))

    def figures(self) -> dict[tuple[str, str, str], Row]:
        """(judge, method, metric) to the figure of this concept."""
        rows = summarise([*self.before, *self.after])
        return {
            (row.judge, row.method, row.metric): row for row in rows if row.concept == self.concept
        }

    def pairs(self, *, retained: bool) -> list[tuple[list[Verdict], list[Verdict]]]:
        """All judges' verdicts before and after, for each target item or for each neighbour."""
        after: dict[str, list[Verdict]] = {}
        for verdict in self.after:
            after.setdefault(verdict.item, []).append(verdict)
        before: dict[str, list[Verdict]] = {}
        for verdict in self.before:
            if verdict.item in self.neighbours if retained else verdict.group == "target":
                before.setdefault(verdict.item, []).append(verdict)
        return [(verdicts, after[item]) for item, verdicts in before.items()]


def spread[T](items: Sequence[T], count: int) -> list[T]:
    """At most ``count`` of ``items``, evenly: never chosen by their outcome."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]
