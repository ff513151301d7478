"""One thing that a task file can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    """Something that can be erased, retained or placed beside.

    Attributes:
        name: its key in the list.
        expects: judge labels that mean it is there.
        words: placeholder to the wordings that may fill it.
    """

    name: str
    expects: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
