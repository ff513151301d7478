"""Checks of what users hand to verbs: kinds, texts, lists and calls, one message each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Any

from trace_erasure.errors import InputError, shown
from trace_erasure.utils.words import LONGEST, check_characters

Kinds = type | tuple[type, ...]


def check_kind(name: str, value: object, kinds: Kinds, *, optional: bool = False) -> None:
    """Raises ``InputError`` unless ``value`` is one of ``kinds``, or None where ``optional``.

    Example:
        >>> check_kind("settings", 5, dict)
        Traceback (most recent call last):
        ...
        trace_erasure.errors.InputError: settings is 5; allowed: a dict.
    """
    if not (isinstance(value, kinds) or (optional and value is None)):
        raise not_allowed(name, value, _named(kinds), optional)


def check_list(
    name: str, values: object, kinds: Kinds, *, empty: bool = True, optional: bool = False
) -> tuple[Any, ...] | None:
    """``values`` as a tuple, each of ``kinds``; None stays None where ``optional``.

    Raises ``InputError`` for anything else, and for an empty one unless ``empty``. A set is
    refused, because its order differs from run to run; a text, because it is a list of letters.

    Example:
        >>> check_list("seeds", range(2), int)
        (0, 1)
    """
    if optional and values is None:
        return None
    loose = isinstance(values, str | bytes | bytearray | Mapping | Set)
    found = None if loose or not isinstance(values, Iterable) else _listed(values)
    if found is None or not all(isinstance(v, kinds) for v in found) or not (found or empty):
        least = "" if empty else ", with at least one"
        raise not_allowed(name, values, f"a list of {_named(kinds, 's')}{least}", optional)
    return found


def check_texts(
    name: str, values: object, *, empty: bool = True, optional: bool = False
) -> tuple[str, ...] | None:
    """``check_list`` of texts without control characters."""
    found = check_list(name, values, str, empty=empty, optional=optional)
    for i, text in enumerate(found or ()):
        check_characters(text, f"{name}[{i}]")
    return found


def check_text(
    name: str, value: object, *, optional: bool = False, empty: bool = False, longest: int = LONGEST
) -> None:
    """Raises ``InputError`` unless ``value`` is a text without control characters."""
    if optional and value is None:
        return
    if not isinstance(value, str) or not (empty or value.strip()) or len(value) > longest:
        allowed = f"a text of {0 if empty else 1} to {longest} characters"
        raise not_allowed(name, value, allowed, optional)
    check_characters(value, name)


def check_call(name: str, value: object, *, optional: bool = False) -> None:
    """Raises ``InputError`` unless ``value`` can be called; a class is no function."""
    called = callable(value) and not isinstance(value, type)
    if not (called or (optional and value is None)):
        raise not_allowed(name, value, "a function", optional)


def not_allowed(name: str, value: object, allowed: str, optional: bool = False) -> InputError:
    """The message on ``value``."""
    none = ", or None" if optional else ""
    return InputError(f"{name} is {shown(value)}; allowed: {allowed}{none}.")


def _listed(values: Iterable[Any]) -> tuple[Any, ...]:
    try:
        return tuple(values)
    except TypeError:  # a tensor without dimensions says that it is iterable
        return (values,)


def _named(kinds: Kinds, plural: str = "") -> str:
    words = {"str": "text", "int": "number", "float": "number", "bool": "truth value"}
    listed = kinds if isinstance(kinds, tuple) else (kinds,)
    names = dict.fromkeys(words.get(kind.__name__, kind.__name__) + plural for kind in listed)
    if plural:
        return " or ".join(names)
    return " or ".join(f"{'an' if name[0] in 'AEIO' else 'a'} {name}" for name in names)
