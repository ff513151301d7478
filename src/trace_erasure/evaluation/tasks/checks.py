"""Types of what a task file holds: each wrong one is named with its file and field."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from trace_erasure.errors import InputError, shown

NAMES = {str: "a text", int: "a whole number", list: "a list", dict: "a mapping", float: "a number"}


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'fox'?`` where something known is close, else an empty text."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def check_keys(given: Any, allowed: tuple[str, ...], where: str) -> None:
    """Raises ``InputError`` unless ``given`` is a mapping of ``allowed`` keys."""
    check_type(given, dict, where)
    for key in given:
        if key not in allowed:
            raise InputError(
                f"{where}: unknown key {shown(key)}{nearest(str(key), allowed)}. "
                f"Allowed: {', '.join(allowed)}."
            )


def check_type(value: Any, kind: type, where: str) -> None:
    """Raises ``InputError`` unless ``value`` is of ``kind``; true and false are no numbers."""
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{where} is {shown(value)}; {NAMES[kind]} is needed. Correct the file.")


def check_texts(value: Any, where: str) -> None:
    """Raises ``InputError`` unless ``value`` is a list of texts."""
    check_type(value, list, where)
    for number, one in enumerate(value, start=1):
        check_type(one, str, f"{where}, number {number}")


def check_head(raw: Mapping[str, Any], where: str) -> None:
    """The fields that every task file may have."""
    for key, kind in (("name", str), ("version", int), ("description", str), ("items", str)):
        if key in raw:
            check_type(raw[key], kind, f"{where}: {key}")
    for key, kind in (("sampling", dict), ("quirks", dict), ("prompts", dict), ("judges", list)):
        if key in raw:
            check_type(raw[key], kind, f"{where}: {key}")
    if "metrics" in raw:
        check_texts(raw["metrics"], f"{where}: metrics")
    for number, judge in enumerate(raw.get("judges", ()), start=1):
        check_type(judge, dict, f"{where}: judges, number {number}")
    for key, text in raw.get("quirks", {}).items():
        check_type(text, str, f"{where}: quirks: {key}")


def check_block(block: Mapping[str, Any], where: str) -> None:
    """The fields of a group's block of templates."""
    for key in ("templates", "names"):
        if key in block:
            check_texts(block[key], f"{where}: {key}")
    for key in ("from", "for", "without"):
        if key in block:
            check_type(block[key], str, f"{where}: {key}")
    if isinstance(block.get("seeds"), list):
        for number, seed in enumerate(block["seeds"], start=1):
            check_type(seed, int, f"{where}: seeds, number {number}")
    elif "seeds" in block:
        check_type(block["seeds"], int, f"{where}: seeds")
    for key, words in check_mapping(block.get("values", {}), f"{where}: values"):
        check_texts(words, f"{where}: values: {key}")


def check_mapping(value: Any, where: str) -> Iterable[tuple[str, Any]]:
    """The entries of a mapping with texts as keys; raises ``InputError`` for anything else."""
    check_type(value, dict, where)
    for key in value:
        check_type(key, str, f"{where}: the key {shown(key)}")
    return value.items()
