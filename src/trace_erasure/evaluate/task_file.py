"""Task files: templates, words and seeds in YAML, expanded into items.

A file gives ``name``, ``version``, ``sampling`` and either ``items`` (a CSV file beside it, with
the columns prompt, seed, group, concept, expects, companion; several labels are joined by ``|``)
or ``concepts`` and ``groups``. ``tasks/objects.yaml`` is the example to copy.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import itertools
import os
import string
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from trace_erasure.errors import InputError
from trace_erasure.evaluate.task import GROUPS, Item, Sampling, Task
from trace_erasure.evaluate.vocabulary import Entry, shared_words, world_lists

TOP_KEYS = ("name", "version", "description", "sampling", "concepts", "groups", "items")
BLOCK_KEYS = ("templates", "seeds", "values", "from", "names", "beside")
EMBEDDED = Path(str(files("trace_erasure.evaluate").joinpath("tasks")))


def task_paths(folder: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Task name to file: the embedded tasks, then those in ``folder``, which may replace them."""
    folders = [EMBEDDED] if folder is None else [EMBEDDED, Path(folder)]
    return {path.stem: path for place in folders for path in sorted(place.glob("*.yaml"))}


def list_tasks(folder: str | os.PathLike[str] | None = None) -> tuple[str, ...]:
    """Names that ``load_task`` knows; ``folder`` holds task files of your own."""
    return tuple(task_paths(folder))


def load_task(
    name_or_path: str | os.PathLike[str], folder: str | os.PathLike[str] | None = None
) -> Task:
    """The task of that name, embedded or in ``folder``, or the one in a ``.yaml`` file.

    Raises:
        InputError: there is no such task, or the file is wrong; the message says where.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = task_paths(folder)
        if str(name_or_path) not in known:
            raise InputError(
                f"no task called {str(name_or_path)!r}{_nearest(str(name_or_path), known)}. "
                f"Known: {', '.join(known)}. Or give the path of a .yaml file."
            )
        path = known[str(name_or_path)]
    if not path.is_file():
        raise InputError(f"no task file at {path}. Known tasks: {', '.join(task_paths(folder))}.")
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}. Correct the file.") from error
    if not isinstance(raw, dict):
        raise InputError(f"{path} must hold a mapping with the keys {', '.join(TOP_KEYS)}.")
    _check_keys(raw, TOP_KEYS, str(path))
    for key in ("name", "version"):
        if key not in raw:
            raise InputError(f"{path} has no {key!r}. Add it.")
    sampling = raw.get("sampling", {})
    _check_keys(sampling, tuple(Sampling.__dataclass_fields__), f"{path}: sampling")
    items = _items_of_csv(path.parent / raw["items"]) if "items" in raw else _expand(raw, path)
    return Task(
        name=raw["name"],
        version=raw["version"],
        items=tuple(items),
        sampling=Sampling(**sampling),
        description=raw.get("description", ""),
    )


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _check_keys(given: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown key {key!r}{_nearest(str(key), allowed)}. "
                f"Allowed: {', '.join(allowed)}."
            )


def _items_of_csv(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise InputError(f"no item list at {path}. Put the CSV file beside the task file.")
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
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


def _expand(raw: Mapping[str, Any], path: Path) -> Iterator[Item]:
    """The items of a file that gives concepts and groups of templates."""
    lists = world_lists()
    lists["concepts"] = concepts = _concepts(raw.get("concepts", {}), lists, path)
    _check_keys(raw.get("groups", {}), GROUPS, f"{path}: groups")
    for concept in concepts.values():
        for group, blocks in raw.get("groups", {}).items():
            for block in blocks:
                where = f"{path}: {group}"
                _check_keys(block, BLOCK_KEYS, where)
                # What is kept comes from a list; everything else is about the concept itself.
                subjects = [concept]
                if group == "retain":
                    subjects = _apart(_select(block, lists, where), concept)
                beside: list[Entry | None] = [None]
                if "beside" in block:
                    beside = [*_apart(_select(block["beside"], lists, where), concept)]
                for subject, other in itertools.product(subjects, beside):
                    for prompt in _prompts(block, subject, other, where):
                        for seed in _seeds(block.get("seeds", 1), prompt):
                            label = other.expects[0] if other else ""
                            yield Item(prompt, seed, group, concept.name, subject.expects, label)


def _concepts(raw: Any, lists: Mapping[str, dict[str, Entry]], path: Path) -> dict[str, Entry]:
    """``{from: objects, names: […]}``, or entries written out with expects and words."""
    where = f"{path}: concepts"
    if "from" in raw:
        _check_keys(raw, ("from", "names"), where)
        return {entry.name: entry for entry in _select(raw, lists, where)}
    entries = {}
    for name, entry in raw.items():
        _check_keys(entry, ("expects", "words"), f"{where}: {name}")
        words = {key: tuple(values) for key, values in entry.get("words", {}).items()}
        entries[name] = Entry(name, tuple(entry.get("expects", ())), words)
    return entries


def _select(
    block: Mapping[str, Any], lists: Mapping[str, dict[str, Entry]], where: str
) -> list[Entry]:
    """The entries of the list ``from``, or those of it in ``names``."""
    source = str(block.get("from"))
    if source not in lists:
        raise InputError(f"{where}: no list called {source!r}. Known: {', '.join(lists)}.")
    names = block.get("names", list(lists[source]))
    for name in names:
        if name not in lists[source]:
            raise InputError(
                f"{where}: {name!r} is not among the {source}{_nearest(name, lists[source])}. "
                f"Known: {', '.join(lists[source])}."
            )
    return [lists[source][name] for name in names]


def _apart(entries: list[Entry], concept: Entry) -> list[Entry]:
    """The entries that share no label with the concept."""
    return [entry for entry in entries if not set(entry.expects) & set(concept.expects)]


def _prompts(
    block: Mapping[str, Any], subject: Entry, other: Entry | None, where: str
) -> Iterator[str]:
    """Every template with every combination of the words that may fill it."""
    words = {**shared_words(), **subject.words}
    if other is not None:
        words["y"] = other.words["x"]
    words |= {key: tuple(values) for key, values in block.get("values", {}).items()}
    for template in block.get("templates", ()):
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
        names = list(dict.fromkeys(names))
        for name in names:
            if not words.get(name):
                raise InputError(
                    f"{where}: {subject.name!r} has no words for {{{name}}} in {template!r}. "
                    f"Known here: {', '.join(key for key in words if words[key])}."
                )
        for filling in itertools.product(*(words[name] for name in names)):
            yield template.format(**dict(zip(names, filling, strict=True)))


def _seeds(seeds: int | list[int], prompt: str) -> Iterator[int]:
    """A list as it is; a number n as n seeds that follow from the prompt alone.

    So prompts do not share their noise, and a prompt has the same seeds in every task.
    """
    if isinstance(seeds, list):
        yield from seeds
        return
    for number in range(seeds):
        yield int(hashlib.sha256(f"{number} {prompt}".encode()).hexdigest()[:7], 16)
