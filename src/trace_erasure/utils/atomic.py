"""Writing files so that a half-written one is never seen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from trace_erasure.errors import InputError


@contextmanager
def atomic(file: Path) -> Iterator[Path]:
    """Yields a temporary name beside ``file``, renamed on success; otherwise nothing is left.

    Raises ``InputError`` where the file cannot be written; what was there before stays.
    """
    partial = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield partial
        os.replace(partial, file)
    except (OSError, SafetensorError) as error:  # safetensors raises its own for a full disk
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"cannot write {file}: {reason}. Nothing was left there; choose an existing folder "
            "that you may write to, on a disk with space left."
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
