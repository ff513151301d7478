"""Many concepts one by one: an artifact each, to be merged, resumable and shardable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import TraceRecord
from trace_erasure.artifact.storage import SUFFIX
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig
from trace_erasure.config_file import slug
from trace_erasure.pipeline import conditions
from trace_erasure.pipeline.fingerprint import difference, fingerprint
from trace_erasure.trace.erase import run
from trace_erasure.trace.verdict import warn_if_failed
from trace_erasure.utils.arguments import check_kind, check_texts
from trace_erasure.utils.folders import check_folder, make_folder
from trace_erasure.utils.progress import progress
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
    and ``shard`` (i, n) makes only every n-th, for workers side by side. One that failed is warned
    of and saved all the same, with its verdict.

    Raises:
        InputError: for a shard that does not exist, and as ``erase`` does.
        NonFiniteError: when a training diverges; the pipeline is restored.
    """
    check_shard(shard)
    check_kind("spec", spec, EraseConfig)
    check_folder("folder", folder)
    check_texts("captions", captions, optional=True)
    conditions.check(pipe, conditions.MEASURE)
    folder = make_folder(folder, "folder")
    wanted = [replace(spec, concepts=(concept,)) for concept in spec.concepts]
    files = [folder / (slug(one.concepts[0].name) + SUFFIX) for one in wanted]
    mine = list(zip(wanted, files, strict=True))[shard[0] :: shard[1]]
    for one, file in progress(mine, desc="concepts"):
        make_one(pipe, one, file, captions, spec.concepts)
    return [file for _, file in mine]


def make_one(
    pipe: Any,
    spec: EraseConfig,
    file: Path,
    captions: Sequence[str] | None = None,
    beside: Sequence[Concept] = (),
) -> Erasure:
    """The erasure of ``spec`` in ``file``: the one that is there, if it was made with ``spec``
    on this model, else a new one.

    ``beside`` as in ``run``. A checkpoint of stage 2 lies beside the file until it is done.
    """
    if file.exists():
        found = Erasure.load(file)
        same = isinstance(found.record, TraceRecord) and found.record.asked == spec
        if same and not difference(found.base, fingerprint(pipe)):
            return found
    made = run(pipe, spec, captions, workdir=file.parent, beside=beside)
    warn_if_failed(made)
    made.save(file)
    return made
