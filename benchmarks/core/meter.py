"""Seconds and memory of a piece of work, and work in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

T = TypeVar("T")


@contextmanager
def metered() -> Iterator[dict[str, float]]:
    """Fills in ``seconds``, and on Linux ``before_mib`` and ``added_mib``, when it ends.

    ``before_mib`` is the resident size at the beginning, when freed memory has gone back to the
    system. ``added_mib`` is the highest within, less that: what comes on top of the loaded model
    and judges. (The kernel's own peak, VmHWM, is reset by writing 5 to /proc/self/clear_refs.)
    """
    spent: dict[str, float] = {}
    gc.collect()
    before = None
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident_mib("VmRSS")
    except (OSError, AttributeError):
        pass
    started = time.perf_counter()
    yield spent
    spent["seconds"] = round(time.perf_counter() - started, 2)
    if before is not None:
        spent["before_mib"] = round(before, 1)
        spent["added_mib"] = round(_resident_mib("VmHWM") - before, 1)


def peak_mib() -> float:
    """Highest resident size of this process so far, in MiB.

    On Linux from the kernel's VmHWM: getrusage counts the parent's peak, too.
    """
    if sys.platform == "linux":
        return _resident_mib("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def in_new_process(work: Callable[..., T], *arguments: Any, **environment: str) -> T:
    """``work(*arguments)`` in a fresh interpreter with ``environment`` added to this process's.

    ``work`` is a function at the top of a module; nothing of this process's memory or caches
    counts in what it measures.
    """
    spawn = multiprocessing.get_context("spawn")
    with (
        patch.dict(os.environ, environment),
        ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool,
    ):
        return pool.submit(work, *arguments).result()


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
