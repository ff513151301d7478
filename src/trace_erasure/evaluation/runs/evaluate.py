"""The public ``evaluate``: erasures, measured on a task beside their controls."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.report.build import Report, build_report
from trace_erasure.evaluation.runs.run_folder import RunFolder, task_remarks
from trace_erasure.evaluation.runs.schedule import measurements, run_measurements
from trace_erasure.evaluation.runs.selection import (
    check_model,
    default_judges,
    erasures_by_concept,
    pipeline_and_name,
)
from trace_erasure.evaluation.tasks.loader import load_task
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.utils.arguments import check_list, check_text, check_texts
from trace_erasure.utils.folders import check_folder
from trace_erasure.utils.numbers import check_flag, check_integer


def evaluate(  # noqa: PLR0913 - a verb: its options are keyword-only
    pipe_or_model: Any,
    task: Task | str | os.PathLike[str],
    erasures: Erasure | Sequence[Erasure] = (),
    *,
    concepts: Sequence[str] | None = None,
    judges: Sequence[Evaluator] | None = None,
    method: str = "trace",
    strengths: Sequence[float] = (1.0,),
    controls: bool = True,
    per_group: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    batch: int = 8,
    bfloat16: bool = False,
) -> Report:
    """Draws a task's pictures, classifies them with judges, and computes every metric.

    Args:
        pipe_or_model: a diffusers pipeline, a shipped model's name, or a pipeline's folder.
        task: a name (``trace-erasure ls tasks``), the path of a task file, or a ``Task``.
        erasures: one or several; without any the original model is measured.
        concepts: of the task; default: those that the erasures name, else all.
        judges: they classify or score pictures; default: the task's own, else the shipped ones.
        method: name of the erasures in rows.
        strengths: weights at which the erasures are measured, 0 to 2.
        controls: the original model, random drift and blank pictures as well.
        per_group: at most so many pictures a group, for a quick look.
        folder: where pictures and verdicts are kept; a run that was broken off goes on there.
            None keeps nothing.
        batch: pictures drawn at once.
        bfloat16: draw in bfloat16.

    Returns:
        The report: ``rows`` of figures with intervals, ``markdown()``, ``write(folder)``.

    Raises:
        InputError: the task, its concepts, a strength or the judges do not fit together, or a
            setting is out of range.

    Example:
        >>> from trace_erasure import evaluate
        >>> from trace_erasure.evaluation import shipped_judges
        >>> from trace_erasure.testing import tiny_erasure
        >>> pipe, erasure = tiny_erasure()
        >>> report = evaluate(
        ...     pipe, "objects", erasure, judges=shipped_judges()[:1], per_group=1, controls=False
        ... )
        >>> sorted({row.method for row in report.rows})
        ['trace']
    """
    check_integer("per_group", per_group, 1, optional=True)
    check_integer("batch", batch, 1)
    check_text("method", method, longest=100)
    check_list("strengths", strengths, (int, float), empty=False)
    check_flag("controls", controls)
    check_flag("bfloat16", bfloat16)
    if folder is not None:
        folder = check_folder("folder", folder)
    concepts = check_texts("concepts", concepts, empty=False, optional=True)
    judges = check_list("judges", judges, get_args(Evaluator), empty=False, optional=True)
    several = [erasures] if isinstance(erasures, Erasure) else erasures
    given = check_list("erasures", several, Erasure) or ()
    check_model("pipe_or_model", pipe_or_model)
    whole = task if isinstance(task, Task) else load_task(task, concepts=concepts)
    by_concept = erasures_by_concept(whole, given, concepts)
    part = whole.subset(list(by_concept) or concepts, per_group)
    planned = measurements(by_concept, method=method, strengths=strengths, controls=controls)
    pipe, model = pipeline_and_name(pipe_or_model)
    evaluators = default_judges(part, model) if judges is None else judges
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolder(Path(temporary if folder is None else folder))
        verdicts = run_measurements(
            run, pipe, part, evaluators, planned, model=model, batch=batch, autocast=bfloat16
        )
        assert verdicts is not None  # there are no other shards
        tasks = {part.name: task_remarks(part)}
        return build_report(verdicts, run.images, title=part.name, tasks=tasks)
