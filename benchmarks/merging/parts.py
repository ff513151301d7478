"""The artifacts that are merged: one a concept, each made by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.core.sharing import shared_out
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.storage import SUFFIX
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig
from trace_erasure.config_file import slug
from trace_erasure.trace.erase_each import erase_each
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.sharding import Shard


@dataclass(frozen=True)
class Part:
    """The artifact of one concept.

    Attributes:
        seconds: what it took to make it.
    """

    file: Path
    seconds: float


@dataclass(frozen=True)
class Parts:
    """The artifacts of a list of concepts, in its order."""

    parts: tuple[Part, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(part.file for part in self.parts)

    @property
    def seconds(self) -> float:
        """Of all together, each made by itself."""
        return sum(part.seconds for part in self.parts)

    def first(self, count: int) -> Parts:
        return Parts(self.parts[:count])

    def load(self) -> list[Erasure]:
        return [Erasure.load(file) for file in self.files]


@dataclass(frozen=True)
class Unit:
    """One concept whose artifact is made."""

    concept: Concept

    @property
    def owner(self) -> str:
        return self.concept.name

    @property
    def title(self) -> str:
        return f"artifact of {self.concept.name}"


def parts_of(pipe: Any, spec: EraseConfig, work: Path) -> Parts:
    """One artifact a concept: the same whatever it is merged with later.

    One that was made with other settings is replaced, and what it took with it.
    """
    return Parts(tuple(_make(pipe, spec, concept, work / "parts") for concept in spec.concepts))


def shared_parts(pipe: Any, spec: EraseConfig, work: Path, shard: Shard) -> Parts | None:
    """``parts_of``, shared with other processes; None while they are at work."""
    folder = work / "parts"

    def measure(unit: Unit, draw: bool) -> Part | None:
        if draw:
            return _make(pipe, spec, unit.concept, folder)
        return _kept(folder / (slug(unit.concept.name) + SUFFIX))

    units: Sequence[Unit] = [Unit(concept) for concept in spec.concepts]
    found = shared_out(units, shard, measure)
    return None if found is None else Parts(tuple(found))


def _make(pipe: Any, spec: EraseConfig, concept: Concept, folder: Path) -> Part:
    started = time.perf_counter()
    (file,) = erase_each(pipe, replace(spec, concepts=(concept,)), folder)
    kept = _kept(file)
    if kept is not None:
        return kept
    seconds = time.perf_counter() - started
    with atomic(_log(file)) as partial:
        partial.write_text(f"{seconds:.2f}", "utf-8")
    return Part(file, seconds)


def _kept(file: Path) -> Part | None:
    """An artifact whose seconds are known, which are written after it."""
    log = _log(file)
    if not (file.exists() and log.exists()) or log.stat().st_mtime < file.stat().st_mtime:
        return None
    return Part(file, float(log.read_text("utf-8")))


def _log(file: Path) -> Path:
    return file.with_suffix(".seconds")
