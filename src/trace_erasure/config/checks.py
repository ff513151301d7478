"""Checks that settings share."""

from __future__ import annotations

from trace_erasure.errors import InputError, shown


def check(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raises ``InputError`` unless ``condition``."""
    if not condition:
        raise InputError(f"{name} is {shown(value)}; allowed: {allowed}.")


def check_settings(name: str, value: object, kind: type) -> None:
    """Raises ``InputError`` unless ``value`` is of ``kind`` or None."""
    check(value is None or isinstance(value, kind), name, value, f"a {kind.__name__}, or None")
