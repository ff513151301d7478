"""Which concepts are erased for each part of a published task."""

from __future__ import annotations

import re
from collections.abc import Sequence

from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import group_of
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.reproduce.recipe import Recipe


def concepts_of(recipe: Recipe, task: Task, name: str) -> tuple[Concept, ...]:
    """What is erased, together, for the concept ``name`` of ``task``.

    Raises:
        InputError: no name stands in the target prompts.
    """
    items = [item for item in task.of(name) if item.group == "target"]
    label = next((label for item in items for label in item.expects), "")
    prefix = group_of(label) if label else ""
    kind = recipe.kinds.get(prefix, next(iter(recipe.kinds.values())))
    if recipe.erase == "named":
        phrases: Sequence[str] = recipe.concepts[name]
    elif recipe.erase == "each":
        phrases = [name]
    else:
        phrases = names_in([item.prompt for item in items], recipe.wordings)
        if not phrases:
            raise InputError(
                f"{recipe.name}: no target prompt has one of the wordings "
                f"{'; '.join(recipe.wordings)}. Give the list that the paper released."
            )
    return tuple(Concept(phrase, kind=kind) for phrase in phrases)


def names_in(prompts: Sequence[str], wordings: Sequence[str]) -> tuple[str, ...]:
    """What stands for ``{x}`` in prompts of these wordings, each once, in their order.

    >>> names_in(["A sketch of Ann Fox", "A portrait of Ann Fox"], ["A sketch of {x}"])
    ('Ann Fox',)
    """
    patterns = [
        re.compile(re.escape(wording).replace(re.escape("{x}"), "(.+)"), re.IGNORECASE)
        for wording in wordings
    ]
    found: dict[str, None] = {}
    for prompt in prompts:
        for pattern in patterns:
            if match := pattern.fullmatch(prompt.strip()):
                found.setdefault(match[1].strip())
                break
    return tuple(found)
