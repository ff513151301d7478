"""Tensors that are slow to compute, kept on disk between runs.

A file is named by a digest of everything that its value depends on, and by the source of the
modules that make it. It is checked when it is read, and made again where it is not what was kept.
Where nothing can be kept the work goes on without.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trace_erasure import __version__
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.utils.atomic import atomic

log = logging.getLogger("trace_erasure")

ROOT = Path(__file__).parents[1]
IMPORT = re.compile(
    r"^\s*(?:from|import)\s+trace_erasure([\w.]*)(?:\s+import\s+(\([^)]*\)|.*))?", re.MULTILINE
)
FILE = re.compile(r"(?P<name>[a-z-]+)-[0-9a-f]{24}\.safetensors")
PARTIAL = re.compile(rf"\.{FILE.pattern}\.\d+\.part")
"""What a process leaves that was killed while it wrote."""
VALUE, KEY, CHECKSUM = "value", "key", "sha256"


@dataclass(frozen=True)
class Kept:
    """A file of the cache: ``name`` says what it holds; empty for what a killed process left."""

    file: Path
    name: str
    size: int


def cache_folder() -> Path:
    """Where what is slow to compute is kept between runs: ``$XDG_CACHE_HOME/trace-erasure``.

    Raises ``OSError`` where neither that nor a home folder is known.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    # Relative paths are to be ignored by the XDG base directory specification.
    if not os.path.isabs(root):
        root = os.path.expanduser("~/.cache")
    if root.startswith("~"):
        raise FileNotFoundError(errno.ENOENT, "there is no home folder", "~")
    return Path(root) / "trace-erasure"


def key_of(module: str, *parts: str | bytes) -> str:
    """A digest of ``parts``, and of the source of ``module`` with all that it imports of ours."""
    digest = hashlib.sha256(code_digest(module).encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)} ".encode() + data)  # ("ab", "c") is not ("a", "bc")
    return digest.hexdigest()


def cached(name: str, key: str, shape: tuple[int, ...], make: Callable[[], Tensor]) -> Tensor:
    """The tensor of ``shape`` that ``make`` gives, kept on disk under ``name`` and ``key``.

    A file that is damaged, of another shape or not finite is made again. Where it cannot be
    written a warning is logged.

    Args:
        name: lower-case letters and hyphens.
        key: of ``key_of``.

    Raises:
        NonFiniteError: ``make`` gives a tensor that is not finite; it is not kept.
    """
    file = f"{name}-{key[:24]}.safetensors"
    value = _read(file, key, shape)
    if value is not None:
        return value
    value = make()
    if tuple(value.shape) != shape:
        raise AssertionError(f"{name} has shape {tuple(value.shape)}, not {shape}")
    if not value.isfinite().all():
        raise NonFiniteError(f"the {name.replace('-', ' ')} of this model is not finite.")
    _write(file, key, value)
    return value


def kept() -> list[Kept]:
    """The files of the cache, by name; whatever else is in its folder is left out."""
    try:
        files = sorted(cache_folder().iterdir())
    except OSError:
        return []
    found = ((file, FILE.fullmatch(file.name)) for file in files)
    return [
        Kept(file, match["name"] if match else "", file.stat().st_size)
        for file, match in found
        if (match or PARTIAL.fullmatch(file.name)) and file.is_file()
    ]


def clear(files: Iterable[Kept]) -> None:
    """Deletes files of the cache. Raises ``InputError`` for one that cannot be."""
    for one in files:
        try:
            one.file.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"cannot delete {one.file}: {error.strerror}.") from error


@lru_cache
def code_digest(module: str) -> str:
    """SHA-256 of the source of ``module`` and of every module of ours that it imports, however
    indirectly."""
    found: dict[str, bytes] = {}
    waiting = [module.removeprefix("trace_erasure.")]
    while waiting:
        name = waiting.pop()
        file = ROOT.joinpath(*name.split("."))
        file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
        if name not in found and file.is_file():
            found[name] = file.read_bytes()
            for parent, names in IMPORT.findall(found[name].decode()):
                # What is imported from a package may be a module itself.
                waiting += [parent[1:], *(f"{parent}.{n}"[1:] for n in re.findall(r"\w+", names))]
    digest = hashlib.sha256(__version__.encode())
    for name, source in sorted(found.items()):
        digest.update(name.encode() + hashlib.sha256(source).digest())
    return digest.hexdigest()


def _checksum(value: Tensor) -> str:
    data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.sha256(data.tobytes()).hexdigest()


def _read(name: str, key: str, shape: tuple[int, ...]) -> Tensor | None:
    """What the file called ``name`` holds; None where it is missing or is not what was kept."""
    try:
        file = cache_folder() / name
        if not file.is_file():
            return None
        with safe_open(file, "pt") as entries:
            about = entries.metadata() or {}
            value = entries.get_tensor(VALUE)
    except (OSError, SafetensorError) as error:
        log.warning("the cache's %s cannot be read (%s); it is made again.", name, error)
        return None
    whole = about.get(KEY) == key and about.get(CHECKSUM) == _checksum(value)
    if whole and tuple(value.shape) == shape and value.isfinite().all():
        return value
    log.warning("%s is damaged; it is made again.", file)
    return None


def _write(name: str, key: str, value: Tensor) -> None:
    try:
        file = cache_folder() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(file) as partial:
            about = {KEY: key, CHECKSUM: _checksum(value)}
            save_file({VALUE: value.detach().cpu().contiguous()}, partial, about)
    except (OSError, InputError) as error:
        log.warning(
            "nothing can be kept on disk (%s), so it is computed again next time. Point "
            "XDG_CACHE_HOME to a folder that you may write to.",
            error.__cause__ or error,
        )
