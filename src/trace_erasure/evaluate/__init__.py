"""Evaluation: tasks, judges, verdicts, figures and reports."""

from trace_erasure.evaluate.controls import blanked
from trace_erasure.evaluate.distances import Reference, paired_distances, set_distances
from trace_erasure.evaluate.evaluators import judges_for
from trace_erasure.evaluate.figures import attack
from trace_erasure.evaluate.grids import Card, Grid, Picture, compare_grid
from trace_erasure.evaluate.judges import (
    ClipJudge,
    Detector,
    ImageClassifierJudge,
    Judge,
    Scorer,
)
from trace_erasure.evaluate.metrics import METRICS
from trace_erasure.evaluate.plots import Series, bar_plot, line_plot
from trace_erasure.evaluate.report import Manifest, Plot, Text, manifest, write_report
from trace_erasure.evaluate.rows import Row, Verdict, append_jsonl, check_protocols, read_jsonl
from trace_erasure.evaluate.runner import evaluate
from trace_erasure.evaluate.summary import agreement, summarise
from trace_erasure.evaluate.tables import Table, rows_table, to_json_text, to_markdown
from trace_erasure.evaluate.task import Item, Sampling, Task
from trace_erasure.evaluate.task_file import list_tasks, load_task

__all__ = [
    "METRICS",
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
    "Row",
    "Sampling",
    "Scorer",
    "Series",
    "Table",
    "Task",
    "Text",
    "Verdict",
    "agreement",
    "append_jsonl",
    "attack",
    "bar_plot",
    "blanked",
    "check_protocols",
    "compare_grid",
    "evaluate",
    "judges_for",
    "line_plot",
    "list_tasks",
    "load_task",
    "manifest",
    "paired_distances",
    "read_jsonl",
    "rows_table",
    "set_distances",
    "summarise",
    "to_json_text",
    "to_markdown",
    "write_report",
]
