"""The entries of an artifact's header, read from the head of the file alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.artifact.provenance import PROVENANCE, Provenance, parse
from trace_erasure.errors import InputError

MERGE_STATISTICS = "trace_erasure.shares"
"""Columns for joint solves with other artifacts, base64: large, and of no interest to people."""
LARGEST = 100_000_000
"""Bytes: the safetensors format's own limit for a header."""


@dataclass(frozen=True)
class Header:
    """The head of an artifact.

    Attributes:
        provenance: what made it.
        metadata: the other entries of the header, without ``MERGE_STATISTICS``.
        tensors: how many tensors the file holds.
        size: of the file in bytes.
    """

    provenance: Provenance
    metadata: Mapping[str, str]
    tensors: int
    size: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: the provenance, and beside it the metadata and the size."""
        whole = self.provenance.model_dump(mode="json")
        return {**whole, "metadata": dict(self.metadata), "bytes": self.size}


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of an artifact; no tensor is read and nothing is verified against its hash.

    Raises:
        InputError: the file is missing, no safetensors file, not written by this package, or its
            header is damaged.
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
    entries = _entries(text, path)
    metadata: dict[str, str] = entries.pop("__metadata__", {})
    if PROVENANCE not in metadata:
        raise InputError(
            f"{path} is a safetensors file, but no erasure of trace_erasure: its header has no "
            f"{PROVENANCE!r} entry. Give a file that `trace-erasure erase` wrote."
        )
    provenance = parse(metadata.pop(PROVENANCE), path)
    metadata.pop(MERGE_STATISTICS, None)
    return Header(provenance, metadata, len(entries), size)


def _entries(text: bytes, path: Path) -> dict[str, Any]:
    """The JSON object at the head of a safetensors file, its metadata all text."""
    try:
        entries = json.loads(text)
        metadata = entries.get("__metadata__", {})
        if all(isinstance(item, str) for pair in metadata.items() for item in pair):
            return entries
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass  # not JSON, not UTF-8, or not an object of objects: all the same to the reader
    raise InputError(
        f"{path} is not a safetensors file. Give a file that `trace-erasure erase` or "
        "`Erasure.save` wrote."
    )
