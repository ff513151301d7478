"""Work that several processes share: each does its own units, the last one goes on with all."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, TypeVar

from trace_erasure.evaluation import Verdict
from trace_erasure.utils.sharding import Shard


class Unit(Protocol):
    """What one process does whole; units of one owner belong to one process."""

    @property
    def owner(self) -> Hashable: ...

    @property
    def title(self) -> str: ...


U = TypeVar("U", bound=Unit)


def shared_out(
    units: Sequence[U], share: Shard, measure: Callable[[U, bool], list[Verdict] | None]
) -> list[list[Verdict]] | None:
    """The verdicts of every unit, or None while other processes are at work.

    Args:
        measure: of a unit, and whether it may draw; else it only looks for what is there, and
            gives None where something is missing.
    """
    owners = {owner: i for i, owner in enumerate(dict.fromkeys(unit.owner for unit in units))}
    mine = [unit for unit in units if owners[unit.owner] % share[1] == share[0]]
    started = time.perf_counter()
    for number, unit in enumerate(mine):
        minutes = (time.perf_counter() - started) / 60
        left = minutes / number * (len(mine) - number) if number else 0
        told = f", about {left:.0f} min left" if number else ""
        print(f"[{number + 1}/{len(mine)}] {unit.title}{told}", flush=True)
        measure(unit, True)
    found = []
    for unit in units:
        part = measure(unit, False)
        if part is None:
            print(f"Shard {share[0]}/{share[1]} is done. The last one writes the tables.")
            return None
        found.append(part)
    return found
