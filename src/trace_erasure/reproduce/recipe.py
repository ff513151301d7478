"""One published evaluation: its task, what is erased for it, what it needs, published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.utils.safe_yaml import read_yaml

FOLDER = Path(str(files("trace_erasure.reproduce").joinpath("recipes")))
ERASE = ("each", "together", "named")


@dataclass(frozen=True)
class Need:
    """Something that a user brings: what it is, how large, and under which licence."""

    what: str
    size: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Published:
    """Figures that a paper prints.

    Attributes:
        source: the paper and its table.
        columns: metrics of the values, keys of ``METRICS``.
        rows: method and concept to the values.
    """

    source: str
    columns: tuple[str, ...]
    rows: Mapping[tuple[str, str], tuple[float, ...]]


@dataclass(frozen=True)
class Recipe:
    """A published evaluation.

    Attributes:
        task: name below ``paper/`` and ``strict/``.
        erase: ``each`` concept of the task by itself; ``together``, all names that the target
            prompts hold; ``named``, the phrases of ``concepts``.
        kinds: prefix of a target's label to the kind of concept.
        model: what the papers erased from.
        wordings: templates by which names are read out of prompts.
        concepts: concept of the task to the phrases that are erased together for it.
        lists: the prompt list, or None where the task holds its prompts.
        needs: name of a judge's weights to what they are.
    """

    name: str
    title: str
    task: str
    erase: str
    kinds: Mapping[str, str]
    model: str
    wordings: tuple[str, ...] = ()
    concepts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lists: Need | None = None
    needs: Mapping[str, Need] = field(default_factory=dict)
    published: Published | None = None


def recipe_names() -> tuple[str, ...]:
    """The evaluations that can be reproduced."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ``InputError`` naming those that there are.

    >>> load_recipe("mace-objects").erase
    'each'
    """
    if name not in recipe_names():
        raise InputError(
            f"there is no recipe {name!r}. Choose one of: {', '.join(recipe_names())}."
        )
    raw: dict[str, Any] = read_yaml(FOLDER / f"{name}.yaml")
    lists, published = raw.pop("lists", None), raw.pop("published", None)
    return Recipe(
        **{
            **raw,
            "wordings": tuple(raw.get("wordings", ())),
            "concepts": {key: tuple(value) for key, value in raw.get("concepts", {}).items()},
            "needs": {key: Need(**value) for key, value in raw.get("needs", {}).items()},
        },
        lists=Need(**lists) if lists else None,
        published=_published(published) if published else None,
    )


def _published(raw: Mapping[str, Any]) -> Published:
    rows = {(row["method"], row["concept"]): tuple(row["values"]) for row in raw["rows"]}
    return Published(raw["source"], tuple(raw["columns"]), rows)
