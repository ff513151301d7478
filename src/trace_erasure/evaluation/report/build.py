"""A whole evaluation as one report, computed from verdicts and nothing else."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.evaluation.report.control_table import controls_table, overall_metric
from trace_erasure.evaluation.report.html import (
    Manifest,
    Plot,
    Section,
    Take,
    Text,
    manifest,
    write_report,
)
from trace_erasure.evaluation.report.pictures import pictures_of
from trace_erasure.evaluation.report.plots import Interval, interval_plot
from trace_erasure.evaluation.report.tables import (
    DEFAULT,
    Table,
    rows_table,
    to_markdown,
)
from trace_erasure.evaluation.runs.controls import CONTROLS
from trace_erasure.evaluation.runs.records import Row, Verdict, to_json
from trace_erasure.evaluation.runs.strength import parse_strength, strength_curves
from trace_erasure.evaluation.runs.verdict_files import check_same_protocol
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.markdown import code_span, escape_markdown


@dataclass(frozen=True)
class Report:
    """What a report holds: figures for programs, sections for readers."""

    title: str
    subtitle: str
    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    made: Manifest

    def write(self, folder: str | os.PathLike[str]) -> list[Path]:
        """``report.html``, ``report.json`` and ``report.md`` in ``folder``; returns the paths."""
        folder = Path(folder)
        make_folder(folder)
        page = write_report(
            folder / "report.html",
            [*self.sections, self.made],
            title=self.title,
            subtitle=self.subtitle,
        )
        data = {
            "title": self.title,
            "rows": [to_json(row) for row in self.rows],
            "manifest": dict(self.made.entries),
        }
        texts = {
            folder / "report.json": json.dumps(data, indent=1, ensure_ascii=False, default=str),
            folder / "report.md": self.markdown(),
        }
        for file, text in texts.items():
            with atomic(file) as partial:
                partial.write_text(text, "utf-8")
        return [page, *texts]

    def markdown(self) -> str:
        """The tables and texts, for a terminal or a pull request."""
        parts = [f"# {escape_markdown(self.title)}\n\n{escape_markdown(self.subtitle)}\n"]
        for section in self.sections:
            if isinstance(section, Table):
                parts.append(to_markdown(section))
            elif isinstance(section, Text):
                paragraphs = re.split(r"\n\s*\n", section.body.strip())
                body = "\n\n".join(escape_markdown(part, code=True) for part in paragraphs)
                parts.append(f"## {escape_markdown(section.title)}\n\n{body}\n")
        entries = self.made.entries.items()
        lines = [f"- {escape_markdown(str(key))}: {_plain(value)}" for key, value in entries]
        parts.append("\n".join([f"## {self.made.title}\n", *lines]) + "\n")
        return "\n".join(parts)


def build_report(
    verdicts: Sequence[Verdict],
    store: ImageStore | None = None,
    *,
    title: str = "Evaluation",
    runs: Sequence[Mapping[str, Any]] = (),
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:
    """Pictures with a sentence a concept; then controls, tables by task, curves, the manifest.

    Args:
        verdicts: of any number of tasks, methods and judges; ``base``, ``drift`` and ``blank``
            among the methods are the controls.
        store: the pictures, for grids; None leaves them out.
        runs: how the verdicts were made, one mapping a run, for the manifest.
        tasks: by name, the columns of a task's tables, its oddities and remarks; see
            ``run_folder.about``.

    Raises:
        InputError: a task was measured in two ways, or verdicts of a run are missing.
    """
    check_same_protocol(verdicts)
    verdicts = sorted(verdicts, key=lambda v: _rank(v.method))
    base = [verdict for verdict in verdicts if verdict.method == "base"]
    rows = _all_rows(verdicts, base)
    names = list(dict.fromkeys(verdict.task for verdict in verdicts))
    judges = list(dict.fromkeys(v.judge for v in verdicts if v.correct is not None))
    sections: list[Section] = []
    if store is not None:
        sections += pictures_of(verdicts, store, judges[:1])
    sections.append(controls_table(rows, names))
    for task in names:
        said = (tasks or {}).get(task, {})
        mine = [row for row in rows if row.task == task]
        sections += _task_sections(task, mine, said.get("metrics") or ())
        remarks = [f"{name}: {text}" for name, text in said.get("quirks", {}).items()]
        remarks += said.get("notes", ())
        if remarks:
            sections.append(Text("\n\n".join(remarks), f"{task}: how it was measured"))
    for judge in judges[:1]:
        sections += strength_curves(rows, judge)
    sections.append(Take("Files", ("report.json", "report.md")))
    pictures = len({verdict.image for verdict in verdicts})
    subtitle = (
        f"{pictures} pictures, {len(verdicts)} verdicts by {len({v.judge for v in verdicts})} "
        f"judges, {len(names)} task{'s' if len(names) > 1 else ''}: {', '.join(names)}."
    )
    return Report(title, subtitle, tuple(rows), tuple(sections), _manifest(verdicts, runs))


def label(method: str) -> str:
    """A method's name for readers; controls are named as such."""
    return f"{CONTROLS[method]} (control)" if method in CONTROLS else method


def _rank(method: str) -> tuple[int, str, float]:
    """Controls first, then methods as named, each by strength."""
    plain, strength = parse_strength(method)
    order = list(CONTROLS)
    return (order.index(plain), "", 0) if plain in order else (len(order), "", strength)


def _all_rows(verdicts: Sequence[Verdict], base: Sequence[Verdict]) -> list[Row]:
    """Figures of every task, with ``acc_s_relative`` where the original model was evaluated."""
    rows: list[Row] = []
    for task in dict.fromkeys(verdict.task for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.task == task]
        original = [verdict for verdict in base if verdict.task == task]
        rows += summarise(mine, original or None)
    return rows


def _task_sections(task: str, rows: Sequence[Row], columns: Sequence[str]) -> Iterator[Section]:
    metric = overall_metric([row for row in rows if row.concept == "mean"])
    if metric is not None:
        yield interval_section(task, rows, metric)
    shown = [replace(row, method=label(row.method)) for row in rows]
    have = {row.metric for row in rows if not math.isnan(row.value)}
    usual = columns or [metric or "acc_s", *DEFAULT, "nothing_s"]
    known = dict.fromkeys([*usual, "blank"])
    metrics = [name for name in known if name in have]
    concepts = sorted({row.concept for row in rows} - {"mean", "worst"})
    if len(concepts) == 1:  # its mean and its worst are one figure
        mean = [replace(row, concept=concepts[0]) for row in shown if row.concept == "mean"]
        yield rows_table(mean, f"{task}: {concepts[0]}", metrics)
        return
    over = [row for row in shown if row.concept in ("mean", "worst")]
    yield rows_table(over, f"{task}: mean and worst concept", metrics)
    each = [row for row in shown if row.concept in concepts and parse_strength(row.method)[1] == 1]
    each.sort(key=lambda row: concepts.index(row.concept))
    yield replace(rows_table(each, f"{task}: every concept", metrics), folded=True)


def interval_section(task: str, rows: Sequence[Row], metric: str) -> Plot:
    """The overall figure of every method, judge by judge."""
    means = [row for row in rows if row.concept == "mean" and row.metric == metric]
    judges = list(dict.fromkeys(row.judge.split("@")[0] for row in means))
    groups: dict[str, list[Interval]] = {}
    for row in means:
        value, low, high = 100 * row.value, 100 * row.low, 100 * row.high
        series = judges.index(row.judge.split("@")[0])
        groups.setdefault(label(row.method), []).append(Interval(value, low, high, series))
    title = f"{METRICS[metric].title} on {task}"
    svg = interval_plot(groups, judges, title=title, x_label="per cent", x_range=(0, 100))
    return Plot(
        f"{task}: {METRICS[metric].title}",
        svg,
        f"{METRICS[metric].title}: {METRICS[metric].meaning}. Mean over concepts, 95 % intervals.",
    )


def _manifest(verdicts: Sequence[Verdict], runs: Sequence[Mapping[str, Any]]) -> Manifest:
    protocols = {
        f"{v.task}, {v.concept}": v.protocol
        for v in sorted(verdicts, key=lambda v: (v.task, v.concept))
    }
    seeds = {v.image_seed for v in verdicts}
    return manifest(
        models=sorted({v.model for v in verdicts}),
        judges=sorted({v.judge for v in verdicts}),
        methods=list(dict.fromkeys(v.method for v in verdicts)),
        training_seeds=sorted({v.seed for v in verdicts if v.method not in CONTROLS}),
        picture_seeds=f"{len(seeds)} different ones, one for each item; they stand in the verdicts",
        protocols=protocols,
        **{f"run {i}": dict(run) for i, run in enumerate(runs, 1)},
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(
            f"{escape_markdown(str(key))} {code_span(str(one))}" for key, one in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(code_span(str(one)) for one in value)
    return code_span(str(value))
