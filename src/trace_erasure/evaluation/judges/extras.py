"""Optional packages: imported when needed, and asked for in one sentence when absent."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError


def optional(module: str, extra: str) -> Any:
    """The module. Raises ``InputError`` with the line that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _absent(module, extra) from error


def package_folder(module: str, extra: str) -> Path:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _absent(module, extra)
    return Path(next(iter(spec.submodule_search_locations)))


def version_of(package: str, extra: str) -> str:
    """The installed version of a distribution."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise _absent(package, extra) from error


def _absent(name: str, extra: str) -> InputError:
    return InputError(
        f"this evaluator needs the package {name}, which is not installed or does not load. "
        f"Run: pip install 'trace-erasure[{extra}]'"
    )


def file_hash(path: str | os.PathLike[str]) -> str:
    """First 12 hexadecimal digits of a file's sha256."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
