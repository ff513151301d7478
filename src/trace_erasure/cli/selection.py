"""What several verbs make of their options: tasks, judges, concepts, pipelines."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.cli import options
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.kinds import AUTO
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


@dataclass(frozen=True)
class Words:
    """What the options of a verb say about the concepts, as they were given.

    Attributes:
        concept, surrogate, kind: of every concept.
        synonym, description, retain: of the only concept.
    """

    concept: list[str] | None = None
    surrogate: str | None = None
    kind: str | None = None
    synonym: list[str] | None = None
    description: list[str] | None = None
    retain: list[str] | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the options that were given."""
        return tuple(field.name for field in fields(self) if getattr(self, field.name))

    def concepts(self) -> tuple[Concept, ...]:
        """Raises ``InputError`` for no concept, one given twice, or words of one among several."""
        if not self.concept:
            raise InputError("nothing to erase. Give --concept fox, or a spec file.")
        for phrase in self.concept:
            if self.concept.count(phrase) > 1:
                raise InputError(f"--concept {phrase} is given twice. Give every concept once.")
        own = {"synonyms": self.synonym, "descriptions": self.description, "retain": self.retain}
        lists: Any = {name: tuple(values) for name, values in own.items() if values}
        if lists and len(self.concept) > 1:
            option = next(
                name for name in ("synonym", "description", "retain") if name in self.given
            )
            raise InputError(
                f"--{option} does not say which of {len(self.concept)} concepts it is for. Erase "
                "one at a time, or write a spec file."
            )
        kind = self.kind or AUTO
        return tuple(Concept(one, self.surrogate, kind, **lists) for one in self.concept)


def request_of(spec: Path | None, model: str | None, words: Words) -> RunConfig:
    """The run from a spec file or from --concept, never from both."""
    from trace_erasure.config import EraseConfig
    from trace_erasure.config_file import RunConfig, load_config

    if spec is not None:
        for name in words.given:
            raise InputError(f"--{name} and {spec} both say what to erase. Give one of them.")
        run = load_config(spec)
        return run if model is None else replace(run, model=model)
    return RunConfig(model or options.DEFAULT_MODEL, EraseConfig(words.concepts()))


def captions_of(run: RunConfig | None) -> tuple[str, ...] | None:
    """The captions in the file that ``run`` names; None where it names none."""
    from trace_erasure.config_file import read_captions

    return None if run is None or run.captions is None else read_captions(run.captions)


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
