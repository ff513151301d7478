"""Evaluation: tasks, judges, verdicts, figures and reports."""

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
from trace_erasure.evaluation.metrics.paired import SEVERAL, mcnemar, over_seeds, paired
from trace_erasure.evaluation.metrics.per_concept import attack
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.metrics.set_distances import (
    Reference,
    paired_distances,
    set_distances,
)
from trace_erasure.evaluation.metrics.summary import agreement, summarise
from trace_erasure.evaluation.report.build import Overview, overview
from trace_erasure.evaluation.report.grids import Card, Grid, Picture, compare_grid, method_grid
from trace_erasure.evaluation.report.html import Manifest, Plot, Text, manifest, write_report
from trace_erasure.evaluation.report.plots import Series, bar_plot, line_plot
from trace_erasure.evaluation.report.tables import Table, rows_table, to_json_text, to_markdown
from trace_erasure.evaluation.runs.controls import CONTROLS, blanked, random_drift
from trace_erasure.evaluation.runs.records import (
    Row,
    Verdict,
    append_jsonl,
    check_protocols,
    read_jsonl,
)
from trace_erasure.evaluation.runs.run_folder import RunFolder, about, overview_of
from trace_erasure.evaluation.runs.runner import evaluate, sees
from trace_erasure.evaluation.runs.strength import AtStrength, at_strength, curves, pareto
from trace_erasure.evaluation.runs.verdict_files import VerdictFolder, read_verdicts, write_verdicts
from trace_erasure.evaluation.tasks.loader import list_tasks, load_task
from trace_erasure.evaluation.tasks.task import Item, Task
from trace_erasure.pipeline.sampling import Sampling

__all__ = [
    "CONTROLS",
    "METRICS",
    "SEVERAL",
    "AtStrength",
    "Card",
    "ClipJudge",
    "Detector",
    "Grid",
    "ImageClassifierJudge",
    "Item",
    "Judge",
    "Manifest",
    "Overview",
    "Picture",
    "Plot",
    "Reference",
    "Row",
    "RunFolder",
    "Sampling",
    "Scorer",
    "Series",
    "Table",
    "Task",
    "Text",
    "Verdict",
    "VerdictFolder",
    "about",
    "agreement",
    "append_jsonl",
    "at_strength",
    "attack",
    "bar_plot",
    "blanked",
    "check_protocols",
    "compare_grid",
    "curves",
    "evaluate",
    "judges_for",
    "line_plot",
    "list_tasks",
    "load_task",
    "manifest",
    "mcnemar",
    "method_grid",
    "over_seeds",
    "overview",
    "overview_of",
    "paired",
    "paired_distances",
    "pareto",
    "random_drift",
    "read_jsonl",
    "read_verdicts",
    "rows_table",
    "sees",
    "set_distances",
    "shipped_classifiers",
    "shipped_judges",
    "summarise",
    "to_json_text",
    "to_markdown",
    "write_report",
    "write_verdicts",
]
