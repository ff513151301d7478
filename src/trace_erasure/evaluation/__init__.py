"""Evaluation: tasks, judges, verdicts, figures and reports.

Names are loaded when they are first used: tasks are read without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trace_erasure.utils.lazy_names import lazy_names

if TYPE_CHECKING:
    from trace_erasure.evaluation.judges import judges_for
    from trace_erasure.evaluation.judges.base import (
        ClipJudge,
        Detector,
        ImageClassifierJudge,
        Judge,
        Scorer,
        shipped_classifiers,
        shipped_judges,
    )
    from trace_erasure.evaluation.metrics.paired import SEVERAL_SEEDS, mcnemar, over_seeds, paired
    from trace_erasure.evaluation.metrics.registry import METRICS
    from trace_erasure.evaluation.metrics.set_distances import (
        Reference,
        paired_distances,
        set_distances,
    )
    from trace_erasure.evaluation.metrics.summary import judge_agreement, summarise
    from trace_erasure.evaluation.report.build import Report, build_report
    from trace_erasure.evaluation.report.grids import (
        Card,
        Grid,
        Picture,
        compare_grid,
        method_grid,
    )
    from trace_erasure.evaluation.report.html import (
        Manifest,
        Plot,
        Text,
        manifest,
        write_report,
    )
    from trace_erasure.evaluation.report.plots import (
        Series,
        bar_plot,
        line_plot,
    )
    from trace_erasure.evaluation.report.tables import (
        Table,
        rows_table,
        to_json_text,
        to_markdown,
    )
    from trace_erasure.evaluation.runs.controls import (
        CONTROLS,
        blanked,
        random_drift,
    )
    from trace_erasure.evaluation.runs.evaluate import evaluate
    from trace_erasure.evaluation.runs.records import (
        Row,
        Verdict,
        append_jsonl,
        check_protocols,
        read_jsonl,
    )
    from trace_erasure.evaluation.runs.run_folder import RunFolder, report_of, task_remarks
    from trace_erasure.evaluation.runs.runner import collect_verdicts, detector_for
    from trace_erasure.evaluation.runs.strength import (
        ScaledErasure,
        method_at_strength,
        pareto_plots,
        strength_curves,
    )
    from trace_erasure.evaluation.runs.verdict_files import (
        VerdictFolder,
        read_verdicts,
        write_verdicts,
    )
    from trace_erasure.evaluation.tasks.loader import list_tasks, load_task
    from trace_erasure.evaluation.tasks.task import Item, Task

__all__ = [
    "CONTROLS",
    "METRICS",
    "SEVERAL_SEEDS",
    "Card",
    "ClipJudge",
    "Detector",
    "Grid",
    "ImageClassifierJudge",
    "Item",
    "Judge",
    "Manifest",
    "Picture",
    "Plot",
    "Reference",
    "Report",
    "Row",
    "RunFolder",
    "ScaledErasure",
    "Scorer",
    "Series",
    "Table",
    "Task",
    "Text",
    "Verdict",
    "VerdictFolder",
    "append_jsonl",
    "bar_plot",
    "blanked",
    "build_report",
    "check_protocols",
    "collect_verdicts",
    "compare_grid",
    "detector_for",
    "evaluate",
    "judge_agreement",
    "judges_for",
    "line_plot",
    "list_tasks",
    "load_task",
    "manifest",
    "mcnemar",
    "method_at_strength",
    "method_grid",
    "over_seeds",
    "paired",
    "paired_distances",
    "pareto_plots",
    "random_drift",
    "read_jsonl",
    "read_verdicts",
    "report_of",
    "rows_table",
    "set_distances",
    "shipped_classifiers",
    "shipped_judges",
    "strength_curves",
    "summarise",
    "task_remarks",
    "to_json_text",
    "to_markdown",
    "write_report",
    "write_verdicts",
]

_HOMES = {
    "ScaledErasure": "runs.strength",
    "CONTROLS": "runs.controls",
    "Card": "report.grids",
    "ClipJudge": "judges.base",
    "Detector": "judges.base",
    "Grid": "report.grids",
    "ImageClassifierJudge": "judges.base",
    "Item": "tasks.task",
    "Judge": "judges.base",
    "METRICS": "metrics.registry",
    "Manifest": "report.html",
    "Report": "report.build",
    "Picture": "report.grids",
    "Plot": "report.html",
    "Reference": "metrics.set_distances",
    "Row": "runs.records",
    "RunFolder": "runs.run_folder",
    "SEVERAL_SEEDS": "metrics.paired",
    "Scorer": "judges.base",
    "Series": "report.plots",
    "Table": "report.tables",
    "Task": "tasks.task",
    "Text": "report.html",
    "Verdict": "runs.records",
    "VerdictFolder": "runs.verdict_files",
    "task_remarks": "runs.run_folder",
    "judge_agreement": "metrics.summary",
    "append_jsonl": "runs.records",
    "method_at_strength": "runs.strength",
    "bar_plot": "report.plots",
    "blanked": "runs.controls",
    "check_protocols": "runs.records",
    "compare_grid": "report.grids",
    "strength_curves": "runs.strength",
    "collect_verdicts": "runs.runner",
    "judges_for": "judges",
    "line_plot": "report.plots",
    "list_tasks": "tasks.loader",
    "load_task": "tasks.loader",
    "manifest": "report.html",
    "mcnemar": "metrics.paired",
    "method_grid": "report.grids",
    "over_seeds": "metrics.paired",
    "build_report": "report.build",
    "report_of": "runs.run_folder",
    "paired": "metrics.paired",
    "paired_distances": "metrics.set_distances",
    "pareto_plots": "runs.strength",
    "random_drift": "runs.controls",
    "read_jsonl": "runs.records",
    "read_verdicts": "runs.verdict_files",
    "rows_table": "report.tables",
    "evaluate": "runs.evaluate",
    "detector_for": "runs.runner",
    "set_distances": "metrics.set_distances",
    "shipped_classifiers": "judges.base",
    "shipped_judges": "judges.base",
    "summarise": "metrics.summary",
    "to_json_text": "report.tables",
    "to_markdown": "report.tables",
    "write_report": "report.html",
    "write_verdicts": "runs.verdict_files",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
