"""``settings.yaml``: the settings that a sweep has chosen for every method, and all it tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from benchmarks.comparison.methods import configured
from trace_erasure.baselines.base import Method
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Task
from trace_erasure.utils.atomic import atomic

SETTINGS = Path(__file__).with_suffix(".yaml")


def record(
    file: Path, model: str, method: str, entry: Mapping[str, Any], tasks: Sequence[Task]
) -> None:
    """Adds one method's choice to the settings file, beside those of others."""
    known = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else {}
    of_model = known.setdefault(model, {})
    protocols = {task.name: str(task.protocol()) for task in tasks}
    of_model[method] = {**entry, "measured_on": protocols}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as partial:
        partial.write_text(yaml.safe_dump(known, sort_keys=False, width=100), "utf-8")


def selected(
    file: Path, model: str, names: Iterable[str], without: str | None = None
) -> dict[str, Method]:
    """The methods with the settings that a sweep chose for ``model``.

    ``without`` is a development task whose figures then take no part in the choice.
    """
    known = (yaml.safe_load(file.read_text("utf-8")) or {}) if file.is_file() else {}
    found = {}
    for name in names:
        if name not in known.get(model, {}):
            raise InputError(
                f"{file} has no settings of {name} for {model}. Run `python -m benchmarks sweep "
                f"--model {model} --methods {name!r}` first, or use --published."
            )
        entry = known[model][name]
        chosen = entry["selected"] if without is None else _choice_without(entry, without)
        found[name] = configured(name, chosen)
    return found


def _choice_without(entry: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    """The settings with the highest H_o on the development tasks other than ``task``."""

    def score(tried: Mapping[str, Any]) -> float:
        if task not in tried.get("h_o_by_task", {}):
            raise InputError(
                f"the sweep's figures do not tell {task} apart. Run `python -m benchmarks sweep` "
                "again."
            )
        return fmean(value for name, value in tried["h_o_by_task"].items() if name != task)

    return max(entry["tried"], key=score)["settings"]
