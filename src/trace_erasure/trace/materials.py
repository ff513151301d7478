"""The columns of every concept of a closed form, of which few are in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import overload

from trace_erasure.concepts.stream_columns import StreamColumns

HELD = 16
"""Concepts whose columns stay in memory. Those of more are encoded again each time, because a
thousand concepts' would take 8 GiB at the width of Stable Diffusion 1.5."""


class Materials(Sequence[StreamColumns]):
    """One entry a concept, in order; beyond ``HELD`` it is made anew each time."""

    def __init__(self, make: Callable[[int], StreamColumns], count: int) -> None:
        """``make(i)`` encodes concept i of ``count``."""
        self._make = make
        self._count = count
        self._held: dict[int, StreamColumns] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> StreamColumns: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[StreamColumns]: ...
    def __getitem__(self, index: int | slice) -> StreamColumns | Sequence[StreamColumns]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        if index in self._held:
            return self._held[index]
        found = self._make(index)
        if len(self._held) < HELD:
            self._held[index] = found
        return found
