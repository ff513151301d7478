"""JSON from files, read with limits and types: whatever they hold, one error names the file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from trace_erasure.errors import InputError
from trace_erasure.utils.bounded_file import read_bounded

LARGEST = 2**27
"""Bytes of a file."""

Kind = TypeVar("Kind")


def read_json(path: str | os.PathLike[str]) -> Any:
    """What the JSON file at ``path`` holds. Raises ``InputError`` for anything else."""
    return parse_json(_read(Path(path)), str(path))


def read_json_lines(path: str | os.PathLike[str]) -> Iterator[tuple[str, Any]]:
    """For each line of a file its place, as messages name it, and the value that it holds.

    Raises ``InputError`` for a file that cannot be read and a line that is not JSON.
    """
    # Not splitlines(), which splits at characters that JSON texts may hold.
    for number, line in enumerate(_read(Path(path)).removesuffix("\n").split("\n"), start=1):
        place = f"{path}, line {number}"
        if line or number > 1:
            yield place, parse_json(line, place)


def parse_json(text: str, source: str) -> Any:
    """The value that ``text`` stands for; ``source`` names it. Raises ``InputError`` for none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not JSON: {error}. Make the file again.") from error


def as_kind(kind: type[Kind], value: Any, source: str) -> Kind:
    """``value``, from JSON, as a dataclass. Raises ``InputError`` with the field that is wrong."""
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the value"
        raise InputError(
            f"{source} holds no {kind.__name__}: {field}: {first['msg']}. Make the file again with "
            "this version."
        ) from error


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _read(path: Path) -> str:
    data = read_bounded(path, LARGEST)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text in UTF-8. Make the file again.") from error
