"""Which share of the work is this process's own: said by the user, or by what launched it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from trace_erasure.errors import InputError, shown

Shard = tuple[int, int]
"""(i, n): the i-th of n, counted from 0."""

LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),  # torchrun and accelerate launch
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI, also under accelerate --cpu
    ("PMI_RANK", "PMI_SIZE"),  # Intel MPI, MPICH
    ("SLURM_PROCID", "SLURM_NTASKS"),  # srun
)


def check_shard(shard: Shard) -> None:
    """Raises ``InputError`` unless ``shard`` is (i, n) with 0 ≤ i < n."""
    pair = isinstance(shard, tuple | list) and len(shard) == 2
    if not pair or not all(isinstance(i, int) and not isinstance(i, bool) for i in shard):
        raise InputError(
            f"shard is {shown(shard)}; allowed: two integers (i, n), the i-th of n counted from 0."
        )
    worker, workers = shard
    if not 0 <= worker < workers:
        raise InputError(
            f"shard {shown(worker)}/{shown(workers)} does not exist: of n shards the first is 0 "
            "and the last is n - 1."
        )


def parse_shard(text: str) -> Shard:
    """``"0/2"`` as (0, 2). Raises ``InputError`` for anything else."""
    worker, _, workers = text.partition("/")
    if not (worker.isdecimal() and workers.isdecimal()):
        raise InputError(
            f"shard {text!r} cannot be read. Give i/n, for example 0/2 and 1/2 for two processes."
        )
    check_shard((int(worker), int(workers)))
    return int(worker), int(workers)


def shard_of(environment: Mapping[str, str] = os.environ) -> Shard:
    """The share that torchrun, accelerate, MPI or SLURM gave this process; (0, 1) without one.

    Raises:
        InputError: the variables contradict themselves.
    """
    for rank, size in LAUNCHERS:
        if rank in environment and size in environment:
            return parse_shard(f"{environment[rank]}/{environment[size]}")
    return 0, 1
