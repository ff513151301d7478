"""Task files: what to draw, in YAML.

A file gives ``name``, ``version``, ``sampling`` and one of three: ``items`` (a CSV file beside it,
with the columns prompt, seed, group, concept, expects, companion; several labels are joined by
``|``), ``prompts`` (a published list that the user has, see ``prompt_file``), or ``concepts`` and
``groups`` (see ``task_templates``). ``tasks/objects.yaml`` is the example to copy.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError, shown
from trace_erasure.evaluation.metrics.registry import METRICS
from trace_erasure.evaluation.tasks.checks import check_head, check_keys, check_texts, nearest
from trace_erasure.evaluation.tasks.published_prompts import KEYS, read_items
from trace_erasure.evaluation.tasks.task import Item, Task
from trace_erasure.evaluation.tasks.templates import expand
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.utils.folders import check_path, resolved
from trace_erasure.utils.safe_yaml import read_yaml

ABOUT = ("name", "version", "description", "sampling", "metrics", "judges", "quirks")
TOP_KEYS = (*ABOUT, "lists", "concepts", "groups", "items", "prompts")
MOST_ITEMS = 300_000
"""Pictures of a task."""
EMBEDDED = Path(str(files("trace_erasure.evaluation.tasks").joinpath("files")))


def task_paths(folder: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Task name to file: the embedded tasks, then those in ``folder``, which may replace them."""
    folders = [EMBEDDED] if folder is None else [EMBEDDED, Path(folder)]
    return {
        path.relative_to(place).with_suffix("").as_posix(): path
        for place in folders
        for pattern in ("*.yaml", "*/*.yaml")
        for path in sorted(place.glob(pattern))
    }


def list_tasks(folder: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """Names that ``load_task`` knows; ``folder`` holds task files of your own."""
    return tuple(task_paths(folder))


def describe(path: Path) -> tuple[str, str, str]:
    """Version, description and the prompt files that the user has to bring, of a task file.

    Without its prompts, which for some tasks are many and for some are elsewhere. Raises
    ``InputError`` for a file that is no task.
    """
    raw = _read(path)
    needed = raw.get("prompts", {}).get("read", [])
    check_texts(needed, f"{path}: prompts: read")
    return str(raw["version"]), raw.get("description", ""), ", ".join(needed)


def _read(path: Path) -> dict[str, Any]:
    """The mapping of a task file, its keys and the types of its own fields checked."""
    raw = read_yaml(path)
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold a mapping with the keys {', '.join(TOP_KEYS)}.")
    check_keys(raw, TOP_KEYS, str(path))
    for key in ("name", "version"):
        if key not in raw:
            raise InputError(f"{path} has no {key!r}. Add it.")
    check_head(raw, str(path))
    return raw


def load_task(
    name_or_path: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    prompts: str | os.PathLike[str] | None = None,
    concepts: Sequence[str] | None = None,
) -> Task:
    """The task of that name, embedded or in ``folder``, or the one in a ``.yaml`` file.

    Args:
        prompts: for tasks on a published list, your copy of it, or the folder that it is in.
        concepts: only these, as ``Task.subset`` gives them; large tasks load faster so.

    Raises:
        InputError: there is no such task or concept, or the file is wrong; the message says where.
    """
    path = check_path("task", name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = task_paths(folder)
        if str(name_or_path) not in known:
            raise InputError(
                f"no task called {shown(str(name_or_path))}{nearest(str(name_or_path), known)}. "
                f"Known: {', '.join(known)}. Or give the path of a .yaml file."
            )
        path = known[str(name_or_path)]
    if not path.is_file():
        raise InputError(f"no task file at {path}. Known tasks: {', '.join(task_paths(folder))}.")
    try:
        return _task(path, prompts, concepts)
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error


def _task(
    path: Path, prompts: str | os.PathLike[str] | None, concepts: Sequence[str] | None
) -> Task:
    """The task in the file at ``path``."""
    raw = _read(path)
    sampling = raw.get("sampling", {})
    check_keys(sampling, tuple(Sampling.__dataclass_fields__), f"{path}: sampling")
    try:
        how = Sampling(**sampling)
    except InputError as error:
        raise InputError(f"{path}: sampling: {error}") from error
    for metric in raw.get("metrics", ()):
        if metric not in METRICS:
            raise InputError(f"{path}: unknown metric {shown(metric)}{nearest(metric, METRICS)}.")
    notes: list[str] = []
    if "items" in raw:
        items = list(_items_of_csv(_beside(path, raw["items"])))
    elif "prompts" in raw:
        check_keys(raw["prompts"], tuple(KEYS), f"{path}: prompts")
        items, notes = read_items(raw["prompts"], prompts, raw["name"], how.guidance_scale)
    else:
        items = list(itertools.islice(expand(raw, path, concepts), MOST_ITEMS + 1))
        if len(items) > MOST_ITEMS:
            raise InputError(f"more than {MOST_ITEMS:,} items. Give fewer templates or seeds.")
    if concepts is not None:
        known = dict.fromkeys(item.concept for item in items)
        for concept in concepts:
            if concept not in known:
                raise InputError(f"task {raw['name']!r} has no concept {concept!r}.")
        items = [item for item in items if item.concept in concepts]
    return Task(
        name=raw["name"],
        version=raw["version"],
        items=tuple(items),
        sampling=how,
        description=raw.get("description", ""),
        metrics=tuple(raw.get("metrics", ())),
        judges=tuple(raw.get("judges", ())),
        quirks=raw.get("quirks", {}),
        notes=tuple(notes),
    )


def _beside(task: Path, name: str) -> Path:
    """A file beside a task file. Raises ``InputError`` for one that lies elsewhere."""
    folder = task.parent.resolve()
    file = resolved("items", folder / name)
    if not file.is_relative_to(folder):
        raise InputError(
            f"{task}: items is {name!r}, which leaves the task's folder. Put the CSV file beside "
            "the task file."
        )
    return file


def _items_of_csv(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise InputError(f"no item list at {path}. Put the CSV file beside the task file.")
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV file in UTF-8: {error}. Save it again.") from error
    for number, row in enumerate(rows, start=2):
        try:
            yield Item(
                prompt=row["prompt"],
                seed=int(row["seed"]),
                group=row["group"],
                concept=row["concept"],
                expects=tuple(label for label in row["expects"].split("|") if label),
                companion=row.get("companion") or "",
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}, line {number}: cannot read this item ({error}). The columns are "
                "prompt, seed (a whole number), group, concept, expects, companion."
            ) from error
