"""Many concepts one by one: an artifact each, to be merged, resumable and shardable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.artifact.storage import SUFFIX
from trace_erasure.config import EraseConfig
from trace_erasure.config_file import slug
from trace_erasure.trace.erase import run
from trace_erasure.utils.sharding import check_shard


def erase_each(
    pipe: Any,
    spec: EraseConfig,
    folder: str | Path,
    captions: Sequence[str] | None = None,
    shard: tuple[int, int] = (0, 1),
) -> list[Path]:
    """One artifact for each concept of ``spec`` in ``folder``; those that are there are kept.

    Concepts are independent, so that a killed run goes on, a longer list adds to a shorter one,
    and ``shard`` (i, n) makes only every n-th, for workers side by side.

    Raises:
        InputError: for a shard that does not exist, and as ``erase`` does.
        NonFiniteError: when a training diverges; the pipeline is restored.
    """
    check_shard(shard)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [replace(spec, concepts=(concept,)) for concept in spec.concepts]
    files = [folder / (slug(one.concepts[0].name) + SUFFIX) for one in wanted]
    mine = list(zip(wanted, files, strict=True))[shard[0] :: shard[1]]
    for one, file in tqdm(mine, desc="concepts", leave=False, disable=None):
        if file.exists() and _asked(file) == one:
            continue
        run(pipe, one, captions, workdir=folder, beside=spec.concepts).save(file)
    return [file for _, file in mine]


def _asked(file: Path) -> EraseConfig | None:
    """The spec that the artifact in ``file`` was made with; None where TRACE did not make it."""
    record = Erasure.load(file).record
    return record.asked if isinstance(record, TraceRecord) else None
