"""Checks that settings share."""

from __future__ import annotations

from trace_erasure.errors import InputError, shown


def check(condition: bool, name: str, value: object, allowed: str) -> None:
    """Raises ``InputError`` unless ``condition``."""
    if not condition:
        raise InputError(f"{name} is {shown(value)}; allowed: {allowed}.")
