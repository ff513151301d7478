"""What verbs that measure need: which task with which erasures, and who judges the pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure
    from trace_erasure.evaluation import Task


def tasks_folder(given: Path | None) -> Path:
    """The user's own folder of task files."""
    if given is not None:
        if not given.is_dir():
            raise InputError(f"there is no folder {given}. Correct --tasks-dir.")
        return given
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "trace-erasure" / "tasks"


def erasures_of(
    task: Task, removals: Sequence[Erasure], asked: list[str] | None
) -> dict[str, Erasure]:
    """Which erasure every concept of the task is measured with."""
    from trace_erasure.concepts.concept import recorded
    from trace_erasure.world import load_world

    styles = load_world().styles
    wanted = task.concepts if asked is None else tuple(asked)
    found: dict[str, Erasure] = {}
    for removal in removals:
        phrases = {one.phrase for one in recorded(removal.record)}
        named = [name for name in wanted if {name, styles.get(name, name)} & phrases]
        # A task with a single concept, or a concept asked for, need not share the phrase.
        if not named and len(removals) == 1 and (asked or len(wanted) == 1):
            named = list(wanted)
        if not named:
            raise InputError(
                f"task {task.name!r} has no concept that the erasure of "
                f"{', '.join(sorted(phrases))} names. Say which with --concept: "
                f"{', '.join(task.concepts)}."
            )
        for name in named:
            if name in found:
                raise InputError(f"two erasures name {name!r}. Give one for each concept.")
            found[name] = removal
    return found


def judges_of(
    task: Task,
    model: str,
    folders: list[Path] | None,
    clip: Path | None,
    weights: list[str] | None,
) -> list[Any]:
    """Those that were asked for, else the task's own, else the shipped ones."""
    from trace_erasure.evaluation import ClipJudge, ImageClassifierJudge, judges_for, shipped_judges
    from trace_erasure.pipeline import shipped

    if folders or clip is not None:
        judges: list[Any] = [ImageClassifierJudge(folder) for folder in folders or ()]
        return [*judges, ClipJudge(clip)] if clip is not None else judges
    if task.judges:
        pairs = [text.partition("=") for text in weights or ()]
        for name, _, path in pairs:
            if not path:
                raise InputError(f"--weights {name} has no path. Give NAME=PATH.")
        return list(judges_for(task, {name: path for name, _, path in pairs}))
    if model not in shipped.PIPELINES:
        raise InputError(
            f"nobody to judge the pictures of {model!r}. Give --judge FOLDER with an image "
            "classifier, or --clip FOLDER; only shipped models have judges of their own."
        )
    return shipped_judges()
