"""What an engine runs: one job, cut into shares that any worker may take and take again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol

from trace_erasure.utils.sharding import Shard


class Job(Protocol):
    """Work in shares whose results lie on a file system that all workers see.

    A share that was begun by a worker that died is run again by another, so that it has to go on
    from what is kept. Jobs travel to the workers: they hold paths and settings, no model.
    """

    @property
    def gpus(self) -> int:
        """How many GPUs a worker needs."""
        ...

    def prepare(self) -> Any:
        """Loads what all shares need, such as a pipeline and judges; once a worker."""
        ...

    def run(self, state: Any, shard: Shard) -> Any:
        """Does the i-th of n shares with what ``prepare`` gave; what it returns is dropped."""
        ...


class Engine(Protocol):
    """Runs a job's shares.

    Attributes:
        shares_a_worker: into how many shares a worker's part is best cut. More of them leave less
            to others when a worker dies or is slow, and cost as many loads where each loads anew.
    """

    shares_a_worker: ClassVar[int]

    def run(self, job: Job, shares: int, workers: int, folder: Path) -> None:
        """All ``shares`` of ``job``, by at most ``workers`` at once.

        Args:
            folder: where the engine may keep logs.

        Raises:
            InputError: bad settings of the engine, or what the job itself refuses.
            WorkerLostError: workers died more often than a share is tried again.
        """
        ...
