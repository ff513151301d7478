"""Choices from sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def evenly_spaced(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of ``items``, evenly from first to last.

    >>> evenly_spaced("abcdef", 3)
    ['a', 'c', 'e']
    """
    count = min(most, len(items))
    return [items[i * len(items) // count] for i in range(count)]
