"""Tensors that are slow to compute, kept on disk between runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from trace_erasure.utils.atomic import atomic


def cache_folder() -> Path:
    """Where what is slow to compute is kept between runs: ``$XDG_CACHE_HOME/trace-erasure``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "trace-erasure"


def cached(name: str, key: hashlib._Hash, make: Callable[[], Tensor]) -> Tensor:
    """The tensor that ``make`` gives, kept on disk under ``name`` and the digest of ``key``."""
    file = cache_folder() / f"{name}-{key.hexdigest()[:24]}.safetensors"
    if file.exists():
        (value,) = load_file(file).values()
        return value
    value = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as partial:
        save_file({"value": value}, partial)
    return value
