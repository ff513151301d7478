"""The page of a reproduction: measured figures, and the published ones beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.metrics.summary import summarise
from trace_erasure.evaluation.report.build import Report, build_report
from trace_erasure.evaluation.report.tables import Number, Table, number
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.runs.run_folder import task_remarks
from trace_erasure.reproduce.recipe import Published
from trace_erasure.reproduce.run import BASE, Reproduction


def page_of(done: Reproduction, verdicts: Sequence[Verdict]) -> Report:
    """The report of all verdicts, with the published figures first where there are any."""
    task = done.task
    report = build_report(
        verdicts, None, title=done.recipe.title, tasks={task.name: task_remarks(task)}
    )
    if done.recipe.published is None:
        return report
    base = [verdict for verdict in verdicts if verdict.method == BASE]
    beside = published_beside(done.recipe.published, summarise(verdicts, base))
    return replace(report, sections=(beside, *report.sections))


def published_beside(published: Published, rows: Sequence[Row]) -> Table:
    """One line a published row: each figure as printed, then as measured under every judge.

    A published row that was not run has a dash. The two are comparable only on the paper's own
    model and with as many pictures; the caption says where they come from.
    """
    measured = {(row.method, row.concept, row.judge, row.metric): row for row in rows}
    judges = list(dict.fromkeys(row.judge for row in rows))
    columns = ["method", "concept", "judge"]
    for metric in published.columns:
        columns += [f"{METRICS[metric].title}, published", "measured"]
    lines = []
    for (method, concept), values in published.rows.items():
        for judge in judges:
            cells: list[str | Number] = [method, concept, judge]
            for metric, value in zip(published.columns, values, strict=True):
                own = measured.get((method, concept, judge, metric))
                cells += [f"{100 * value:.1f}", number(own) if own else "–"]
            lines.append(tuple(cells))
    return Table("Published and measured", tuple(columns), tuple(lines), published.source)
