"""What several verbs make of their options: tasks, judges, concepts, pipelines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trace_erasure.cli import options
from trace_erasure.concepts.concept import KINDS, Concept
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.config_file import RunConfig
    from trace_erasure.evaluation import Task
    from trace_erasure.evaluation.judges.base import Evaluator


def tasks_folder(given: Path | None) -> Path:
    """The user's own folder of task files."""
    if given is not None:
        if not given.is_dir():
            raise InputError(f"there is no folder {given}. Correct --tasks-dir.")
        return given
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "trace-erasure" / "tasks"


def judges_of(
    task: Task,
    model: str,
    folders: list[Path] | None,
    clip: Path | None,
    weights: list[str] | None,
) -> list[Evaluator]:
    """Those that were asked for, else the task's own, else the shipped ones."""
    from trace_erasure.evaluation.judges.base import ClipJudge, ImageClassifierJudge
    from trace_erasure.evaluation.runs.selection import default_judges

    if folders or clip is not None:
        judges: list[Evaluator] = [ImageClassifierJudge(folder) for folder in folders or ()]
        return [*judges, ClipJudge(clip)] if clip is not None else judges
    return default_judges(task, model, paths_of_weights(weights))


def paths_of_weights(weights: list[str] | None) -> dict[str, str]:
    """Name to path, of ``NAME=PATH`` texts."""
    pairs = [text.partition("=") for text in weights or ()]
    for name, _, path in pairs:
        if not path:
            raise InputError(f"--weights {name} has no path. Give NAME=PATH.")
    return {name: path for name, _, path in pairs}


def request_of(
    spec: Path | None,
    model: str | None,
    concept: list[str] | None,
    surrogate: str | None,
    kind: str | None,
) -> RunConfig:
    """The run from a spec file or from --concept, never from both."""
    from trace_erasure.config import EraseConfig
    from trace_erasure.config_file import RunConfig, load_config

    if spec is not None:
        for name, given in (("concept", concept), ("surrogate", surrogate), ("kind", kind)):
            if given:
                raise InputError(f"--{name} and {spec} both say what to erase. Give one of them.")
        run = load_config(spec)
        return run if model is None else replace(run, model=model)
    if not concept:
        raise InputError("nothing to erase. Give --concept fox, or a spec file.")
    for phrase in concept:
        if concept.count(phrase) > 1:
            raise InputError(f"--concept {phrase} is given twice. Give every concept once.")
    made = tuple(Concept(phrase, surrogate, kind or KINDS[0]) for phrase in concept)
    return RunConfig(model or options.DEFAULT_MODEL, EraseConfig(made))


def model_of(model: str | None, run: RunConfig | None) -> str:
    """The model that --model names, else the spec's, else the default one."""
    return model or (run.model if run else options.DEFAULT_MODEL)


def spec_among(what: list[str]) -> RunConfig | None:
    """The run of a YAML file, which stands alone; None for a list of artifacts."""
    from trace_erasure.config_file import load_config

    specs = [text for text in what if Path(text).suffix in (".yaml", ".yml")]
    if not specs:
        return None
    if len(what) > 1:
        raise InputError(f"{specs[0]} is a spec and stands alone. Give it, or files of erasures.")
    return load_config(specs[0])
