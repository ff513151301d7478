"""What a measurement needs: which task with which erasures, and who judges the pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges import judges_for
from trace_erasure.evaluation.judges.base import Evaluator, shipped_judges
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.utils.folders import check_path
from trace_erasure.world import load_world


def erasures_by_concept(
    task: Task, erasures: Sequence[Erasure], concepts: Sequence[str] | None = None
) -> dict[str, Erasure]:
    """Which erasure every concept of the task is measured with.

    Args:
        concepts: of the task; default: those that the erasures name.

    Raises:
        InputError: an erasure names no concept of the task, or two name the same one.
    """
    styles = load_world().styles
    wanted = task.concepts if concepts is None else tuple(concepts)
    found: dict[str, Erasure] = {}
    for erasure in erasures:
        phrases = {one.phrase for one in erasure.record.concepts}
        named = [name for name in wanted if {name, styles.get(name, name)} & phrases]
        # A task with a single concept, or a concept asked for, need not share the phrase.
        if not named and len(erasures) == 1 and (concepts or len(wanted) == 1):
            named = list(wanted)
        if not named:
            raise InputError(
                f"task {task.name!r} has no concept that the erasure of "
                f"{', '.join(sorted(phrases))} names. Say which with --concept (in Python "
                f"concepts=[…]): {', '.join(task.concepts)}."
            )
        for name in named:
            if name in found:
                raise InputError(f"two erasures name {name!r}. Give one for each concept.")
            found[name] = erasure
    return found


def default_judges(
    task: Task, model: str, weights: Mapping[str, str | os.PathLike[str]] | None = None
) -> list[Evaluator]:
    """The judges that the task names, else those of the shipped model ``model``.

    Args:
        weights: name to the path of a model that the task's judges need.

    Raises:
        InputError: there are neither.
    """
    if task.judges:
        return judges_for(task, weights)
    if model not in shipped.PIPELINES:
        raise InputError(
            f"nobody to judge the pictures of {model!r}. Give --judge FOLDER with an image "
            "classifier, or --clip FOLDER (in Python judges=[ImageClassifierJudge(folder)]); only "
            "shipped models have judges of their own."
        )
    return [*shipped_judges()]


def check_model(name: str, pipe_or_model: Any) -> None:
    """Raises ``InputError`` for what is neither a name or a path nor a pipeline that is known."""
    if not isinstance(pipe_or_model, str | os.PathLike):
        family_of(pipe_or_model)
    else:
        check_path(name, pipe_or_model)


def pipeline_and_name(pipe_or_model: Any) -> tuple[Any, str]:
    """A pipeline, and its name in rows: that of a model, or the folder that it was loaded from."""
    if isinstance(pipe_or_model, str | os.PathLike):
        return load_pipeline(os.fspath(pipe_or_model)), os.fspath(pipe_or_model)
    folder = str(getattr(pipe_or_model, "name_or_path", "") or "")
    return pipe_or_model, Path(folder).name or type(pipe_or_model).__name__
