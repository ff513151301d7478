"""What one process of a check of guarantees does whole: one concept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """One erased object."""

    concept: str

    @property
    def owner(self) -> str:
        return self.concept

    @property
    def title(self) -> str:
        return self.concept
