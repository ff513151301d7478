"""Commands in processes of their own, on one thread each."""

from __future__ import annotations

import os
import subprocess
import sys


def start(command: list[str], **options) -> subprocess.Popen:
    """``python`` with ``command``, as no launcher has started it."""
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    clean = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
    return subprocess.Popen(
        [sys.executable, *command],
        env=clean | threads,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen) -> None:
    """Waits for it, and asserts that it went well."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
