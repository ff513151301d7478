"""Jobs of a few seconds for the tests of engines; workers import them from here."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from trace_erasure.utils.sharding import Shard


@dataclass(frozen=True)
class Touch:
    """Leaves a file for every share, and one for every load.

    Attributes:
        dies: share during which the worker is killed, the first time that it has it.
    """

    folder: Path
    dies: int | None = None

    @property
    def gpus(self) -> int:
        return 0

    def prepare(self) -> str:
        (self.folder / f"loaded-{os.getpid()}").touch()
        return "loaded"

    def run(self, state: str, shard: Shard) -> None:
        assert state == "loaded"
        met = self.folder / "met"
        if shard[0] == self.dies and not met.exists():
            met.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"share-{shard[0]}-{shard[1]}").touch()


@dataclass(frozen=True)
class Refuses(Touch):
    """Refuses its input in every share."""

    def run(self, state: str, shard: Shard) -> None:
        raise ValueError("this share is refused")
