"""The engine of a Ray cluster: actors hold what a job has loaded, and take share after share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from trace_erasure.engines.job import Job
from trace_erasure.errors import WorkerLostError
from trace_erasure.utils.sharding import Shard

log = logging.getLogger("trace_erasure")

RETRIES = 3
"""How often a worker that died is started again, and a share that it had."""


class Worker:
    """An actor's side: loads once, then runs shares."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.state = job.prepare()

    def run(self, shard: Shard) -> None:
        self.job.run(self.state, shard)


@dataclass(frozen=True)
class RayEngine:
    """Actors on the cluster at ``address``.

    Attributes:
        address: of the cluster, such as ``auto`` or ``ray://head:10001``; None is the one that
            ``RAY_ADDRESS`` names, or else one of this machine's own for the while.
    """

    shares_a_worker: ClassVar[int] = 4

    address: str | None = None

    def run(self, job: Job, shares: int, workers: int, folder: Path) -> None:
        """See ``Engine.run``."""
        ray: Any = import_module("ray")
        started = not ray.is_initialized()
        if started:
            ray.init(address=self.address, include_dashboard=False, logging_level=logging.WARNING)
        try:
            _run(ray, job, shares, min(workers, shares))
        finally:
            if started:
                ray.shutdown()


def _run(ray: Any, job: Job, shares: int, workers: int) -> None:
    actor = ray.remote(
        num_cpus=1, num_gpus=job.gpus, max_restarts=RETRIES, max_task_retries=RETRIES
    )(Worker)
    idle = [actor.remote(job) for _ in range(workers)]
    waiting: list[Shard] = [(i, shares) for i in reversed(range(shares))]
    running: dict[Any, tuple[Any, Shard]] = {}
    why = ""
    while waiting or running:
        while idle and waiting:
            worker, share = idle.pop(), waiting.pop()
            running[worker.run.remote(share)] = worker, share
        if not running:
            raise WorkerLostError(f"every worker was lost {RETRIES + 1} times. The last: {why}")
        (done, *_), _ = ray.wait([*running], num_returns=1)
        worker, share = running.pop(done)
        try:
            ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayActorError as error:
            # Dead for good; another worker takes its share.
            why = " ".join(str(error).split())
            log.warning("a worker was lost with share %d/%d: %s", *share, why)
            waiting.append(share)
            continue
        idle.append(worker)
