"""What an artifact says of itself, read from the head of the file alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError

PROVENANCE = "trace_erasure"
MERGE_STATISTICS = "trace_erasure.shares"
"""Columns for joint solves with other artifacts, base64: large, and of no interest to people."""
LARGEST = 100_000_000
"""Bytes: the safetensors format's own limit for a header."""


@dataclass(frozen=True)
class Header:
    """The head of an artifact.

    Attributes:
        provenance: what made it: ``format``, ``family``, ``base``, ``ranks``, ``record``.
        metadata: the other entries of the header, without ``MERGE_STATISTICS``.
        tensors: how many tensors the file holds.
        size: of the file in bytes.
    """

    provenance: Mapping[str, Any]
    metadata: Mapping[str, str]
    tensors: int
    size: int


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of an artifact; no tensor is read and nothing is verified against its hash.

    Raises:
        InputError: the file is missing, no safetensors file, or not written by this package.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            # A length beyond the file is something else's first bytes.
            text = file.read(length) if 0 < length <= min(LARGEST, size - 8) else b""
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}. Check the path.") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}. Check the path.") from error
    try:
        entries = json.loads(text)
        metadata = dict(entries.pop("__metadata__", {}))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a safetensors file. Give a file that `trace-erasure erase` or "
            "`Erasure.save` wrote."
        ) from error
    if PROVENANCE not in metadata:
        raise InputError(
            f"{path} is a safetensors file, but no erasure of trace_erasure: its header has no "
            f"{PROVENANCE!r} entry. Give a file that `trace-erasure erase` wrote."
        )
    provenance = json.loads(metadata.pop(PROVENANCE))
    metadata.pop(MERGE_STATISTICS, None)
    return Header(provenance, metadata, len(entries), size)
