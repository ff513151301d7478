"""Evaluation: tasks, judges, verdicts, figures and reports."""

from trace_erasure.evaluate.controls import CONTROLS, blanked, random_drift
from trace_erasure.evaluate.distances import Reference, paired_distances, set_distances
from trace_erasure.evaluate.evaluators import judges_for
from trace_erasure.evaluate.figures import attack
from trace_erasure.evaluate.grids import Card, Grid, Picture, compare_grid, method_grid
from trace_erasure.evaluate.judges import (
    ClipJudge,
    Detector,
    ImageClassifierJudge,
    Judge,
    Scorer,
    shipped_classifiers,
    shipped_judges,
)
from trace_erasure.evaluate.metrics import METRICS
from trace_erasure.evaluate.overview import Overview, overview
from trace_erasure.evaluate.paired import SEVERAL, mcnemar, over_seeds, paired
from trace_erasure.evaluate.plots import Series, bar_plot, line_plot
from trace_erasure.evaluate.report import Manifest, Plot, Text, manifest, write_report
from trace_erasure.evaluate.rows import Row, Verdict, append_jsonl, check_protocols, read_jsonl
from trace_erasure.evaluate.run_folder import RunFolder, about, overview_of
from trace_erasure.evaluate.runner import evaluate, sees
from trace_erasure.evaluate.strength import AtStrength, at_strength, curves, pareto
from trace_erasure.evaluate.summary import agreement, summarise
from trace_erasure.evaluate.tables import Table, rows_table, to_json_text, to_markdown
from trace_erasure.evaluate.task import Item, Task
from trace_erasure.evaluate.task_file import list_tasks, load_task
from trace_erasure.evaluate.verdict_files import VerdictFolder, read_verdicts, write_verdicts
from trace_erasure.generate import Sampling

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
