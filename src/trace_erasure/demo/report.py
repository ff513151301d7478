"""What came of one concept of the demonstration; a table in the terminal, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from rich.table import Table as TerminalTable

from trace_erasure.artifact.record import TraceRecord
from trace_erasure.demo.contact_sheet import Column, contact_sheet
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.sequences import evenly_spaced

COLUMNS = 6
METRICS = {"acc_e": "concept recognised", "acc_s": "others recognised"}


@dataclass(frozen=True)
class Result:
    """One erased concept and the judges' verdicts on its pictures.

    Attributes:
        record: of its ``Erasure``.
        steps: the fields of every ``StepRecord``.
        seconds: that erasing took.
        before, after: verdicts on the same items.
        neighbours: ids of the retained items that are nearest to the concept.
        faded: the first picture of the concept at each of ``strengths.STRENGTHS``.
    """

    concept: str
    record: TraceRecord
    steps: Sequence[Mapping[str, Any]]
    seconds: float
    before: Sequence[Verdict]
    after: Sequence[Verdict]
    neighbours: set[str]
    faded: tuple[Image.Image, ...] = ()

    @property
    def surrogate(self) -> str:
        return self.record.concepts[0].surrogate or ""

    @property
    def judges(self) -> list[str]:
        """Ids of the judges that classify pictures."""
        seen = [verdict.judge for verdict in self.before if verdict.correct is not None]
        return list(dict.fromkeys(seen))

    @property
    def scorers(self) -> list[str]:
        """Ids of the judges that score how well a picture fits its prompt."""
        scored = [verdict.judge for verdict in self.before if verdict.score is not None]
        return list(dict.fromkeys(scored))

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
            if verdict.judge in self.judges:
                after.setdefault(verdict.item, []).append(verdict)
        before: dict[str, list[Verdict]] = {}
        for verdict in self.before:
            if verdict.judge not in self.judges:
                continue
            if verdict.item in self.neighbours if retained else verdict.group == "target":
                before.setdefault(verdict.item, []).append(verdict)
        return [(verdicts, after[item]) for item, verdicts in before.items()]


# Terminal and PNG -------------------------------------------------------------------------


def terminal_table(results: Sequence[Result]) -> TerminalTable:
    """One line for each concept and judge, counts before and after."""
    table = TerminalTable(title="Recognised by the judges, before → after", title_justify="left")
    for column in ("concept", "surrogate", "judge"):
        table.add_column(column)
    for column in (*METRICS.values(), "erasing"):
        table.add_column(column, justify="right")
    for result in results:
        figures = result.figures()
        for judge in result.judges:
            counts = []
            for metric in METRICS:
                rows = [figures[judge, method, metric] for method in ("before", "after")]
                counts.append(" → ".join(f"{row.numerator}/{row.n}" for row in rows))
            name = judge.split("@")[0]
            time = f"{result.seconds:.1f} s"
            table.add_row(result.concept, result.surrogate, name, *counts, time)
    return table


def sheet(result: Result, store: ImageStore) -> Image.Image:
    """Targets and neighbours before and after, at equal seeds."""

    def columns(retained: bool) -> list[Column]:
        return [
            Column(before[0].prompt, store.load(before[0].image), store.load(after[0].image))
            for before, after in evenly_spaced(result.pairs(retained=retained), COLUMNS)
        ]

    return contact_sheet([(result.concept, columns(False)), ("neighbours", columns(True))])
