"""The commit of the code that a row comes from."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DIRTY = "-dirty"
CODE = ("src", "world/src", "benchmarks", "pyproject.toml", "constraints.txt")
"""What decides figures. Rows that a run has just written make no clone dirty, nor do pages."""


@cache
def commit(root: Path = ROOT) -> str | None:
    """``git rev-parse HEAD``, with ``-dirty`` where the code has changes; None outside a clone."""
    try:
        head = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", *CODE, ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + DIRTY * bool(changed)


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
