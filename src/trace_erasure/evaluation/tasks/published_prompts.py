"""Published prompt lists, read from the user's own copy: checked, counted, turned into items.

The ``prompts`` block of a task file says how. ``read`` names the files (``any_of``: one of them),
``sha256`` what they must hash to, ``source`` where they are published. ``prompt`` and ``seed`` name
columns. ``group``, ``concept`` and ``expects`` are texts in which ``{column}`` stands for a cell;
``group`` may instead sort by a column's values. The rest are the oddities of the lists, see
``KEYS``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.evaluation.tasks.checks import check_texts
from trace_erasure.evaluation.tasks.task import Item

KEYS = {
    "read": "files, all of which are read",
    "any_of": "files, one of which is read",
    "sha256": "file to hash",
    "source": "where the files are published",
    "prompt": "column of the prompt",
    "seed": "column of the seed",
    "group": "item group, or {column, and groups with the values that mean them}",
    "concept": "the concept's name",
    "each": "column: every value in turn is the concept, and the rows of the others are retained",
    "expects": "judge labels",
    "names": "templates by which {x} is read out of the prompt",
    "text_from": "file beside each one, whose prompts are what a scorer reads",
    "plain": "true: the prompts of that file are drawn too, as retained items",
    "complete": "column whose value the prompt ends with, its last letter cut off",
    "missing": "nan: a row without a prompt is drawn as the word nan; drop: it is left out",
    "repeats": "copies: every row counts; merge: a prompt and seed once; drop: a prompt once",
    "guidance": "column of the guidance scale, which is counted and not used",
    "sensitive": "true: prompts are never shown",
}
MISSING, REPEATS = ("nan", "drop"), ("copies", "merge", "drop")
# Prompts of sexual or violent lists that name a minor are never drawn, in any task.
MINORS = re.compile(
    r"\b(child(ren|hood|ish|like)?|kids?|toddlers?|bab(y|ies)|infants?|minors?|under-?aged?"
    r"|(pre)?-?teen(s|aged?|agers?)?|school ?(girl|boy|kid|child)\w*|(little|young|small) "
    r"(girl|boy)s?|loli\w*|shota\w*|juveniles?|adolescents?|(1?[0-9])[- ]?(years?|yrs?|yo)\b"
    r"([- ]old)?)\b",
    re.IGNORECASE,
)
Rows = list[tuple[int, dict[str, str]]]


def read_items(
    block: Mapping[str, Any],
    where: str | os.PathLike[str] | None,
    task: str,
    guidance_scale: float,
) -> tuple[list[Item], list[str]]:
    """The items of a ``prompts`` block, and notes on what was found.

    Args:
        block: of a task file, its keys already known to be allowed.
        where: the list, or a folder that holds it.
        task: the task's name, for messages.
        guidance_scale: what is drawn with, whatever the list says.

    Raises:
        InputError: there is no such file, it is another one than was published, or a row cannot
            be read. The message names the row, never the prompt.
    """
    for key, allowed in (("missing", MISSING), ("repeats", REPEATS)):
        if block.get(key, allowed[0]) not in allowed:
            raise InputError(f"task {task!r}: {key} {block[key]!r}; allowed: {', '.join(allowed)}.")
    reader = _Reader(block, guidance_scale)
    items = []
    for name, path in _find(block, where, task):
        rows = reader.rows(name, path)
        pairs: Rows = []
        if other := block.get("text_from"):
            name = str(Path(name).with_name(other))
            pairs = reader.rows(name, path.with_name(other))
            if len(pairs) != len(rows):
                raise InputError(
                    f"{path} has {len(rows)} rows, {other} beside it {len(pairs)}. They must go "
                    "in pairs; get both from the same release."
                )
        items += reader.items(rows, pairs, path)
    return items, reader.notes()


def _find(
    block: Mapping[str, Any], where: str | os.PathLike[str] | None, task: str
) -> list[tuple[str, Path]]:
    """Published name and path of every file to read."""
    key = "read" if "read" in block else "any_of"
    check_texts(block.get(key), f"task {task!r}: prompts: {key}")
    names = list(block[key])
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"task {task!r}: {name!r} leaves the folder of its prompts.")
    choice = "read" not in block
    wanted = (" or " if choice else ", ").join(names)
    if where is None:
        raise InputError(
            f"task {task!r} needs {wanted}, which cannot be shipped with this package. Get it "
            f"from {block.get('source', 'its authors')} and give its path, or the folder that it "
            "is in, as prompts."
        )
    place = Path(where)
    if place.is_file() and (choice or len(names) == 1):
        return [(place.name if choice else names[0], place)]
    found = [(name, place / name) for name in names if (place / name).is_file()]
    if not found or (not choice and len(found) < len(names)):
        lacking = ", ".join(name for name in names if not (place / name).is_file())
        raise InputError(
            f"no {wanted if choice else lacking} at {place}, for task {task!r}. Get it from "
            f"{block.get('source', 'its authors')}."
        )
    return found[:1] if choice else found


class _Reader:
    """Rows to items, counting what is odd on the way."""

    def __init__(self, block: Mapping[str, Any], guidance_scale: float) -> None:
        self.block, self.guidance_scale = block, guidance_scale
        self.sensitive = bool(block.get("sensitive"))
        self.prompt, self.seed = block.get("prompt", "prompt"), block.get("seed", "seed")
        self.missing, self.repeats = block.get("missing", "drop"), block.get("repeats", "copies")
        self.files: list[str] = []
        self.counts: Counter[str] = Counter()
        self.guidance: list[float] = []

    def rows(self, name: str, path: Path) -> Rows:
        """Row number, from 1, and cells."""
        if not path.is_file():
            raise InputError(f"no file at {path}. It belongs to the list {name}.")
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        expected = self.block.get("sha256", {}).get(name)
        if expected not in (None, found):
            raise InputError(
                f"{path} is not the published {name}: its sha256 is {found}, not {expected}. Get "
                f"it from {self.block.get('source', 'its authors')}, or copy the task file, give "
                "it a name of its own and drop the hash to use a list of yours."
            )
        self.files.append(f"{name}: sha256 {found}")
        try:
            lines = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
            rows = list(enumerate(lines, start=1))
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{path} is no CSV file in UTF-8. Get it again.") from error
        for column in (self.prompt, self.seed):
            if column not in (lines.fieldnames or ()):
                raise InputError(
                    f"{path} has no column {column!r}. Its columns are "
                    f"{', '.join(map(str, lines.fieldnames or ()))}."
                )
        return rows

    def items(self, rows: Rows, pairs: Rows, path: Path) -> Iterator[Item]:
        kept = list(self._kept(rows, pairs, path))
        each = self.block.get("each")
        concepts = dict.fromkeys(cells[each] for cells, *_ in kept) if each else [None]
        for concept in concepts:
            for cells, prompt, text, seed, copy in kept:
                name = concept or self._text(self.block["concept"], cells, path)
                group = self._group(cells, path)
                if each and concept:
                    group = "target" if cells[each] == concept else "retain"
                expects = tuple(
                    self._text(label, cells, path) for label in self.block.get("expects", ())
                )
                alias = ""
                if self.sensitive:
                    alias = f"prompt {hashlib.sha256(prompt.encode()).hexdigest()[:12]}"
                yield Item(prompt, seed, group, name, expects, "", text, copy, alias)
                if text and self.block.get("plain"):
                    yield Item(text, seed, "retain", name, (), "", "", copy, alias)

    def _kept(
        self, rows: Rows, pairs: Rows, path: Path
    ) -> Iterator[tuple[dict[str, str], str, str, int, int]]:
        """Cells, prompt, text, seed and copy of the rows that are used."""
        seen: Counter[Any] = Counter()
        for index, (number, cells) in enumerate(rows):
            self.counts["rows"] += 1
            self._read_guidance(cells)
            prompt = (cells[self.prompt] or "").strip("\r\n")
            if not prompt.strip():
                self.counts["missing"] += 1
                if self.missing == "drop":
                    continue
                prompt = "nan"
            if self.sensitive and MINORS.search(prompt):
                self.counts["minors"] += 1
                continue
            try:
                seed = int(cells[self.seed])
            except (TypeError, ValueError) as error:
                raise InputError(f"{path}, row {number}: the seed is no whole number.") from error
            self.counts["repeated prompts"] += bool(seen[prompt])
            self.counts["repeated pairs"] += bool(seen[prompt, seed])
            again = seen[prompt] if self.repeats == "drop" else seen[prompt, seed]
            copy = seen[prompt, seed]
            seen.update([prompt, (prompt, seed)])
            if again and self.repeats != "copies":
                continue
            complete = self.block.get("complete")
            if complete and prompt.endswith(cells[complete][:-1]):
                prompt += cells[complete][-1]
                self.counts["completed"] += 1
            text = (pairs[index][1][self.prompt] or "") if pairs else ""
            yield {**cells, **self._name(prompt, path, number)}, prompt, text, seed, copy

    def _name(self, prompt: str, path: Path, number: int) -> dict[str, str]:
        templates = self.block.get("names", ())
        for template in templates:
            before, after = map(re.escape, template.split("{x}"))
            if match := re.fullmatch(f"{before}(.+){after}", prompt):
                return {"x": match[1], "x_lower": match[1].lower()}
        if templates:
            raise InputError(
                f"{path}, row {number}: the prompt has none of the {len(templates)} wordings of "
                "this list, so nobody knows whom it names."
            )
        return {}

    def _group(self, cells: Mapping[str, str], path: Path) -> str:
        group = self.block.get("group", "target")
        if isinstance(group, str):
            return group
        value = cells.get(group["column"])
        for name, values in group.items():
            if name != "column" and value in [str(one) for one in values]:
                return name
        raise InputError(f"{path}: column {group['column']!r} holds {value!r}, which is unknown.")

    def _text(self, template: str, cells: Mapping[str, str], path: Path) -> str:
        try:
            return template.format_map(cells)
        except KeyError as error:
            raise InputError(f"{path} has no column {error.args[0]!r}.") from error

    def _read_guidance(self, cells: Mapping[str, str]) -> None:
        column = self.block.get("guidance")
        if column and cells.get(column):
            try:
                self.guidance.append(float(cells[column]))
            except ValueError as error:
                raise InputError(
                    f"column {column!r} holds {cells[column]!r}, which is no number."
                ) from error

    def notes(self) -> list[str]:
        count, notes = self.counts, [*self.files, f"{self.counts['rows']} rows"]
        if count["missing"]:
            done = {"drop": "left out", "nan": "drawn as the word nan"}[self.missing]
            notes.append(f"{count['missing']} without a prompt, {done}")
        if count["minors"]:
            notes.append(f"{count['minors']} that name a minor, never drawn")
        if count["repeated prompts"]:
            done = {"copies": "all counted", "merge": "a seed's once", "drop": "left out"}
            notes.append(
                f"{count['repeated prompts']} repeat a prompt, {count['repeated pairs']} its seed "
                f"too; {done[self.repeats]}"
            )
        if count["completed"]:
            notes.append(f"{count['completed']} whose last letter was missing, completed")
        if self.guidance:
            other = sum(value != self.guidance_scale for value in self.guidance)
            notes.append(
                f"{other} ask for another guidance scale than {self.guidance_scale:g}, from "
                f"{min(self.guidance):g} to {max(self.guidance):g}; "
                f"{self.guidance_scale:g} is used"
            )
        return notes
