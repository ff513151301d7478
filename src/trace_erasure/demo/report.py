"""What the demonstration shows: a table in the terminal, pictures, and one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.table import Table as TerminalTable

from trace_erasure.artifact.record import TraceRecord
from trace_erasure.demo.contact_sheet import Column, contact_sheet
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.evaluation.report.grids import Card, Grid, Picture, verdict_text
from trace_erasure.evaluation.report.html import Plot, Section, Text, manifest, write_report
from trace_erasure.evaluation.report.plots import Series, line_plot
from trace_erasure.evaluation.report.tables import Number, Table, number
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.sequences import evenly_spaced

COLUMNS = 6
CARDS = 12
METRICS = {"acc_e": "concept recognised", "acc_s": "others recognised"}
SCORES = {"clip_e": "prompts of the concept", "clip_s": "others"}
CERTIFICATE = {
    "residual_listed": (
        "residual, listed prompts",
        "share of the concept − surrogate difference that is left in the prompts of the solve; "
        "0 is exact",
    ),
    "residual_held_out": (
        "residual, held-out prompts",
        "the same share in wordings that the solve did not use",
    ),
    "expected_collateral": (
        "expected collateral",
        "expected squared change of the edited layers' output on ordinary captions, relative to "
        "the output",
    ),
    "empty_prompt": (
        "change of the empty prompt",
        "relative change of what guidance subtracts",
    ),
    "recovery_margin": (
        "recovery margin",
        "least distance of any embedding from the concept's keys and values, relative to concept "
        "− surrogate; 0 means that some embedding restores the concept",
    ),
    "capacity": (
        "capacity used",
        "share of the embedding's dimensions that the constraints use",
    ),
    "discarded": (
        "discarded",
        "share of the concept − surrogate energy outside the redirected directions",
    ),
    "rank": ("rank of the edit", "dimensions of the embedding that the edit changes"),
    "size": (
        "size of the edit",
        "Frobenius norm of the edit; a large one is ill-conditioned",
    ),
}
"""Field of the certificate to its name on the page, and its meaning. All but the rank and the size
are ratios; each is the worst over the text streams."""


@dataclass(frozen=True)
class Result:
    """One erased concept and the judges' verdicts on its pictures.

    Attributes:
        record: of its ``Erasure``.
        steps: the fields of every ``StepRecord``.
        seconds: that erasing took.
        before, after: verdicts on the same items.
        neighbours: ids of the retained items that are nearest to the concept.
    """

    concept: str
    record: TraceRecord
    steps: Sequence[Mapping[str, Any]]
    seconds: float
    before: Sequence[Verdict]
    after: Sequence[Verdict]
    neighbours: set[str]

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


# The page ---------------------------------------------------------------------------------


def write(
    path: Path, results: Sequence[Result], store: ImageStore, task: Task, seconds: float
) -> Path:
    """Writes the page. Raises ``InputError`` where it cannot."""
    sections: list[Section] = [
        Text(
            "Each concept is erased from the same small model on its own, with default settings. "
            "Two independent judges then classify pictures of the concept and of everything else, "
            "drawn before and after from the same prompts and seeds.\n\n"
            "Every LoRA file lies beside this page. Put one on with "
            "`Erasure.load(file).attach(pipe)`, or as any LoRA in other tools."
        ),
        _summary(results),
        _scores(results),
    ]
    for result in results:
        sections += _about(result, store)
    times = [(result.concept, Number(f"{result.seconds:.1f} s")) for result in results]
    times.append(("this run, everything", Number(f"{seconds:.1f} s")))
    caption = "Erasing as it was timed when the file was made; pictures that are kept take no time."
    sections.append(Table("Time", ("what", "seconds"), tuple(times), caption))
    how = {"judges": [*results[0].judges, *results[0].scorers], "protocol": str(task.protocol())}
    sections.append(manifest(model=results[0].before[0].model, **how))
    return write_report(path, sections, title="Three concepts, erased")


def _summary(results: Sequence[Result]) -> Table:
    lines: list[tuple[str | Number, ...]] = []
    for result in results:
        for judge, numbers in _before_and_after(result, result.judges, METRICS):
            lines.append((result.concept, result.surrogate, judge, *numbers))
    caption = "Per cent of pictures, 95 % intervals, number of pictures."
    heads = ("concept", "surrogate", "judge", *_heads(METRICS))
    return Table("Recognised", heads, tuple(lines), caption)


def _scores(results: Sequence[Result]) -> Table:
    lines: list[tuple[str | Number, ...]] = []
    for result in results:
        for scorer, numbers in _before_and_after(result, result.scorers, SCORES):
            lines.append((result.concept, scorer, *numbers))
    caption = "100 cos between picture and prompt, mean, 95 % intervals, number of pictures."
    return Table("CLIP scores", ("concept", "model", *_heads(SCORES)), tuple(lines), caption)


def _before_and_after(
    result: Result, judges: Sequence[str], metrics: Iterable[str]
) -> Iterator[tuple[str, list[Number]]]:
    """(name, the figures of every metric before and after) of each judge."""
    figures = result.figures()
    for judge in judges:
        numbers = [
            number(figures[judge, method, metric])
            for metric in metrics
            for method in ("before", "after")
        ]
        yield judge.split("@")[0], numbers


def _heads(metrics: Mapping[str, str]) -> list[str]:
    return [f"{title}, {when}" for title in metrics.values() for when in ("before", "after")]


def _about(result: Result, store: ImageStore) -> list[Section]:
    sections: list[Section] = [
        _grid(result, store, retained=False),
        _grid(result, store, retained=True),
    ]
    certificate = result.record.certificate
    if certificate:
        lines = [
            (name, Number(f"{getattr(certificate, field):.3g}"), meaning)
            for field, (name, meaning) in CERTIFICATE.items()
        ]
        if certificate.retained:
            worst, change = max(certificate.retained.items(), key=lambda item: item[1])
            lines.append(
                (
                    "change of retained prompts",
                    Number(f"{change:.3g}"),
                    f"relative change of the most changed one: {worst}",
                )
            )
        title = f"{result.concept}: certificate of the closed form"
        sections.append(Table(title, ("quantity", "value", "meaning"), tuple(lines)))
    if result.record.finetune:
        sections += [_losses(result), _trajectory(result)]
    return sections


def _grid(result: Result, store: ImageStore, *, retained: bool) -> Grid:
    pairs = result.pairs(retained=retained)
    shown = evenly_spaced(pairs, CARDS)
    cards = []
    for before, after in shown:
        # Judges may disagree: a picture is good only if all of them agree that it is.
        seen = [bool(verdict.correct) for verdict in after]
        good = all(seen) if retained else not any(seen)
        pictures = (
            Picture(store.load(before[0].image), "before", _verdict_texts(before)),
            Picture(store.load(after[0].image), "after", _verdict_texts(after), good),
        )
        cards.append(Card(pictures, before[0].prompt, f"seed {before[0].image_seed}"))
    title = f"{result.concept}: neighbours" if retained else f"{result.concept}: erased"
    caption = f"{len(shown)} of {len(pairs)}, taken evenly. Judges: {', '.join(result.judges)}."
    return Grid(title, tuple(cards), caption)


def _verdict_texts(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(
        f"{verdict.judge.split('@')[0]}: {verdict_text(verdict)}" for verdict in verdicts
    )


def _losses(result: Result) -> Plot:
    steps = [step["step"] for step in result.steps]
    series = [Series("weighted sum", [step["loss"] for step in result.steps], steps)]
    for term in result.steps[-1]["terms"] if result.steps else ():
        series.append(Series(term, [step["terms"][term] for step in result.steps], steps))
    svg = line_plot(series, title="loss", x_label="step", y_label="loss")
    caption = "Mean squared error of the network's output, on one random batch a step."
    return Plot(f"{result.concept}: loss", svg, caption)


def _trajectory(result: Result) -> Plot:
    finetune = result.record.finetune
    assert finetune is not None
    levels, energy = finetune.profile.noise_levels, finetune.profile.energy
    chosen = finetune.noise_level
    series = [
        Series("share of the concept's energy", energy, levels),
        Series(f"noise level {chosen:.2f}", [0.0, max(energy)], [chosen, chosen]),
    ]
    svg = line_plot(
        series,
        title="trajectory",
        x_label="noise level, from clean to pure noise",
        y_label="share",
        x_range=(0.0, 1.0),
    )
    caption = (
        f"Where {result.concept} and {result.surrogate} differ in what the network predicts. "
        "States at or below the marked noise level are steered away; the others are held."
    )
    return Plot(f"{result.concept}: along the trajectory", svg, caption)
