"""The engine of a Slurm cluster: an array job by submitit, one task a share."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from trace_erasure.engines.job import Job
from trace_erasure.errors import InputError, WorkerLostError
from trace_erasure.utils.sharding import Shard

log = logging.getLogger("trace_erasure")

RETRIES = 3
"""How often a share is submitted again whose process was lost, and requeued when preempted."""


@dataclass(frozen=True)
class ShareTask:
    """What an array task does. Preempted or out of time, it is requeued and goes on."""

    job: Job

    def __call__(self, shard: Shard) -> None:
        self.job.run(self.job.prepare(), shard)

    def checkpoint(self, shard: Shard) -> Any:
        """What submitit submits again: the same, since all that is done is kept."""
        return import_module("submitit.helpers").DelayedSubmission(self, shard)


@dataclass(frozen=True)
class SlurmEngine:
    """Array jobs.

    Attributes:
        cluster: ``slurm``, or ``local`` to run the same on this machine without Slurm.
        parameters: of submitit's ``AutoExecutor``, such as ``slurm_partition``.
        timeout_min: minutes after which a task is requeued.
    """

    shares_a_worker: ClassVar[int] = 1

    cluster: str = "slurm"
    timeout_min: int = 720
    parameters: dict[str, str] = field(default_factory=dict)

    def run(self, job: Job, shares: int, workers: int, folder: Path) -> None:
        """See ``Engine.run``."""
        submitit: Any = import_module("submitit")
        failures: Any = import_module("submitit.core.utils")
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise InputError(
                "there is no sbatch here. Run it where Slurm is, or with "
                "--engine-option cluster=local."
            )
        executor = submitit.AutoExecutor(
            folder=folder / "slurm", cluster=self.cluster, slurm_max_num_timeout=RETRIES
        )
        asked: dict[str, Any] = {**self.parameters, "timeout_min": self.timeout_min}
        executor.update_parameters(
            name="trace-erasure",
            gpus_per_node=job.gpus,
            slurm_array_parallelism=workers,
            **asked,
        )
        waiting: list[Shard] = [(i, shares) for i in range(shares)]
        for _ in range(RETRIES + 1):
            submitted = executor.map_array(ShareTask(job), waiting)
            lost: list[Shard] = []
            for share, one in zip(waiting, submitted, strict=True):
                try:
                    one.result()
                except failures.FailedJobError:
                    raise
                except failures.UncompletedJobError as error:
                    log.warning("share %d/%d was lost: %s", *share, str(error).splitlines()[0])
                    lost.append(share)
            if not (waiting := lost):
                return
        raise WorkerLostError(
            f"{len(waiting)} shares were lost {RETRIES + 1} times; see {folder / 'slurm'}."
        )
