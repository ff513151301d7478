"""The engine of one machine: this process does every share, one after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from trace_erasure.engines.job import Job
from trace_erasure.errors import InputError


@dataclass(frozen=True)
class LocalEngine:
    """No worker but this process."""

    shares_a_worker: ClassVar[int] = 1

    def run(self, job: Job, shares: int, workers: int, folder: Path) -> None:
        """See ``Engine.run``."""
        if workers != 1:
            raise InputError(
                f"workers is {workers}, and the engine local has one. Choose --engine ray or "
                "slurm, or start processes with --shard."
            )
        state = job.prepare()
        for i in range(shares):
            job.run(state, (i, shares))
