"""Templates, words and seeds to items: the ``concepts`` and ``groups`` of a task file."""

from __future__ import annotations

import hashlib
import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError, shown
from trace_erasure.evaluation.tasks.checks import (
    check_block,
    check_keys,
    check_mapping,
    check_texts,
    check_type,
    nearest,
)
from trace_erasure.evaluation.tasks.entry import Entry
from trace_erasure.evaluation.tasks.task import GROUPS, KEPT, Item
from trace_erasure.evaluation.tasks.word_lists import shared_words, world_lists

BLOCK_KEYS = ("templates", "seeds", "values", "from", "names", "beside", "for", "without")
LIST_KEYS = ("names", "expects")


def expand(raw: Mapping[str, Any], path: Path, only: Sequence[str] | None = None) -> Iterator[Item]:
    """The items of a file that gives concepts and groups of templates; of ``only`` if given."""
    _check_groups(raw.get("groups", {}), f"{path}: groups")
    lists = world_lists() | _own_lists(raw.get("lists", {}), path)
    lists["concepts"] = concepts = _concepts(raw.get("concepts", {}), lists, path)
    shared = shared_words()
    for concept in concepts.values():
        if only is not None and concept.name not in only:
            continue
        for group, blocks in raw.get("groups", {}).items():
            for block in blocks:
                where = f"{path}: {group}"
                if "for" in block and concept.name not in _list(block["for"], lists, where):
                    continue
                # What is kept comes from a list; everything else is about the concept itself.
                subjects = [concept]
                if group in KEPT:
                    subjects = _apart(_select(_of(block, concept), lists, where), concept)
                beside: list[Entry | None] = [None]
                if "beside" in block:
                    beside = [*_apart(_select(block["beside"], lists, where), concept)]
                for subject, other in itertools.product(subjects, beside):
                    for prompt in _prompts(block, shared, concept, subject, other, where):
                        for seed in _seeds(block.get("seeds", 1), prompt):
                            label = other.expects[0] if other else ""
                            yield Item(prompt, seed, group, concept.name, subject.expects, label)


def _of(block: Mapping[str, Any], concept: Entry) -> Mapping[str, Any]:
    """The block with the concept's name in its list: ``from: scenes of {concept}``."""
    return {**block, "from": str(block.get("from")).replace("{concept}", concept.name)}


def _check_groups(groups: Any, where: str) -> None:
    check_keys(groups, GROUPS, where)
    for group, blocks in groups.items():
        check_type(blocks, list, f"{where}: {group}")
        for number, block in enumerate(blocks, start=1):
            place = f"{where}: {group}, number {number}"
            check_keys(block, BLOCK_KEYS, place)
            check_block(block, place)
            if "beside" in block:
                check_keys(block["beside"], ("from", "names"), f"{place}: beside")
                check_block(block["beside"], f"{place}: beside")


def _own_lists(raw: Any, path: Path) -> dict[str, dict[str, Entry]]:
    """Lists of the file's own: names, and the label of each with ``{name}`` in its place."""
    lists = {}
    for key, one in check_mapping(raw, f"{path}: lists"):
        where = f"{path}: lists: {key}"
        check_keys(one, LIST_KEYS, where)
        for field in LIST_KEYS:
            if field not in one:
                raise InputError(f"{where} has no {field!r}. Add it.")
        check_texts(one["names"], f"{where}: names")
        check_type(one["expects"], str, f"{where}: expects")
        if {*"{}"} & {*one["expects"].replace("{name}", "")}:
            raise InputError(
                f"{where}: expects is {shown(one['expects'])}; the only placeholder is {{name}}."
            )
        lists[key] = {
            name: Entry(name, (one["expects"].replace("{name}", name),), {"x": (name,)})
            for name in one["names"]
        }
    return lists


def _concepts(raw: Any, lists: Mapping[str, dict[str, Entry]], path: Path) -> dict[str, Entry]:
    """``{from: objects, names: […]}``, several of these, or entries with expects and words."""
    where = f"{path}: concepts"
    if isinstance(raw, list):
        return {k: v for part in raw for k, v in _concepts(part, lists, path).items()}
    check_type(raw, dict, where)
    if "from" in raw:
        check_keys(raw, ("from", "names"), where)
        check_block(raw, where)
        return {entry.name: entry for entry in _select(raw, lists, where)}
    entries = {}
    for name, entry in check_mapping(raw, where):
        check_keys(entry, ("expects", "words"), f"{where}: {name}")
        check_texts(entry.get("expects", []), f"{where}: {name}: expects")
        for key, values in check_mapping(entry.get("words", {}), f"{where}: {name}: words"):
            check_texts(values, f"{where}: {name}: words: {key}")
        words = {key: tuple(values) for key, values in entry.get("words", {}).items()}
        entries[name] = Entry(name, tuple(entry.get("expects", ())), words)
    return entries


def _select(
    block: Mapping[str, Any], lists: Mapping[str, dict[str, Entry]], where: str
) -> list[Entry]:
    """The entries of the list ``from``, or those of it in ``names``."""
    source = str(block.get("from"))
    entries = _list(source, lists, where)
    names = block.get("names", list(entries))
    for name in names:
        if name not in entries:
            raise InputError(
                f"{where}: {shown(name)} is not among the {source}{nearest(name, entries)}. "
                f"Known: {', '.join(entries)}."
            )
    return [entries[name] for name in names]


def _list(name: str, lists: Mapping[str, dict[str, Entry]], where: str) -> dict[str, Entry]:
    if name not in lists:
        raise InputError(f"{where}: no list called {shown(name)}. Known: {', '.join(lists)}.")
    return lists[name]


def _apart(entries: list[Entry], concept: Entry) -> list[Entry]:
    """The entries that share no label with the concept."""
    return [entry for entry in entries if not set(entry.expects) & set(concept.expects)]


def _prompts(
    block: Mapping[str, Any],
    shared: Mapping[str, tuple[str, ...]],
    concept: Entry,
    subject: Entry,
    other: Entry | None,
    where: str,
) -> Iterator[str]:
    """Every template with every combination of the words that may fill it."""
    words = {**shared, **subject.words}
    if other is not None:
        words["y"] = other.words["x"]
    words |= {key: tuple(values) for key, values in block.get("values", {}).items()}
    if "without" in block:  # a word that names the concept itself
        key = block["without"]
        for known, own in ((words, key), (concept.words, "x")):
            if own not in known:
                raise InputError(f"{where}: without is {shown(key)}, and there are no words {own}.")
        words[key] = tuple(word for word in words[key] if word not in concept.words["x"])
    for template in block.get("templates", ()):
        names = _placeholders(template, where)
        for name in names:
            if not words.get(name):
                raise InputError(
                    f"{where}: {subject.name!r} has no words for {{{name}}} in {shown(template)}. "
                    f"Known here: {', '.join(key for key in words if words[key])}."
                )
        for filling in itertools.product(*(words[name] for name in names)):
            yield template.format(**dict(zip(names, filling, strict=True)))


def _placeholders(template: str, where: str) -> list[str]:
    """The names in ``template``, each once. Raises ``InputError`` for anything but ``{name}``."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InputError(f"{where}: the template {shown(template)} is broken: {error}.") from error
    for _, name, form, conversion in parts:
        if name is not None and (not name.isidentifier() or form or conversion):
            raise InputError(
                f"{where}: the template {shown(template)} has a placeholder that is no name. "
                "Write {x}, and {{ for a brace."
            )
    return list(dict.fromkeys(name for _, name, _, _ in parts if name))


def _seeds(seeds: int | list[int], prompt: str) -> Iterator[int]:
    """A list as it is; a number n as n seeds that follow from the prompt alone.

    So prompts do not share their noise, and a prompt has the same seeds in every task.
    """
    if isinstance(seeds, list):
        yield from seeds
        return
    for number in range(seeds):
        yield int(hashlib.sha256(f"{number} {prompt}".encode()).hexdigest()[:7], 16)
