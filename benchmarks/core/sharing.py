"""Work that several processes share: each does its own units, the last one goes on with all."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from trace_erasure.utils.sharding import Shard


class Unit(Protocol):
    """What one process does whole; units of one owner belong to one process."""

    @property
    def owner(self) -> Hashable: ...

    @property
    def title(self) -> str: ...


U = TypeVar("U", bound=Unit)
T = TypeVar("T")


def own_units(units: Sequence[U], share: Shard) -> list[U]:
    """The units of one process."""
    owners = {owner: i for i, owner in enumerate(dict.fromkeys(unit.owner for unit in units))}
    return [unit for unit in units if owners[unit.owner] % share[1] == share[0]]


def shared_out(
    units: Sequence[U], share: Shard, measure: Callable[[U, bool], T | None]
) -> list[T] | None:
    """The result of every unit, or None while other processes are at work.

    Args:
        measure: of a unit, and whether it may draw; else it only looks for what is kept, and
            gives None where something is missing.
    """
    mine, started = own_units(units, share), time.perf_counter()
    for number, unit in enumerate(mine):
        minutes = (time.perf_counter() - started) / 60
        left = minutes / number * (len(mine) - number) if number else 0
        rest = f", about {left:.0f} min left" if number else ""
        print(f"[{number + 1}/{len(mine)}] {unit.title}{rest}", flush=True)
        measure(unit, True)
    found = []
    for unit in units:
        part = measure(unit, False)
        if part is None:
            print(f"Shard {share[0]}/{share[1]} is done. The last one writes the rows.")
            return None
        found.append(part)
    return found
