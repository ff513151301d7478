"""YAML from people's files, read with limits: no file can make reading it slow or endless."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from trace_erasure.errors import InputError
from trace_erasure.utils.bounded_file import read_bounded

LARGEST = 1_000_000
"""Bytes of a file."""
DEEPEST = 40
"""Lists and mappings inside each other, aliases followed."""
MOST_NODES = 200_000
"""Values of a file, aliases followed."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML without silent surprises: a key that is given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """What the YAML file at ``path`` holds.

    Raises:
        InputError: it cannot be read, is not UTF-8, is not YAML, or is beyond the limits.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file that people write.

    Raises:
        InputError: it cannot be read, is too large, or is not UTF-8.
    """
    path = Path(path)
    data = read_bounded(path, LARGEST)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a text file in UTF-8. Save it again as UTF-8.") from error


def parse_yaml(text: str, source: str) -> Any:
    """What ``text`` holds; ``source`` names it in messages.

    Raises:
        InputError: it is not YAML, or is beyond the limits.
    """
    if len(text) > LARGEST:
        raise InputError(f"{source} is longer than {LARGEST:,} characters. Make it smaller.")
    try:
        _check_nesting(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _size(node, {}, 0) > MOST_NODES:
                raise InputError(
                    f"{source} holds more than {MOST_NODES:,} values, aliases followed. "
                    "Write it without aliases."
                )
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except _TooDeepError as error:
        raise InputError(
            f"{source} nests lists and mappings more than {DEEPEST} deep. Write it flatter."
        ) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{source} is not valid YAML: {reason}. Correct it.") from error


class _TooDeepError(Exception):
    pass


def _check_nesting(text: str) -> None:
    """By events alone, since composing a deep document would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _TooDeepError


def _size(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Values below ``node``, those behind aliases counted at every use."""
    if depth > DEEPEST:  # by aliases, or an alias inside its own anchor
        raise _TooDeepError
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        children = node.value
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in children for part in pair]
        known[id(node)] = 1 + sum(_size(child, known, depth + 1) for child in children)
    return known[id(node)]
