"""A single-file checkpoint with a change in its weights: a few tensors differ, the rest stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trace_erasure.artifact.original_names import ORIGINAL, PREFIXES, Place
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import Delta
from trace_erasure.utils.atomic import atomic

PARTS = 3
"""Queries, keys and values that share a tensor."""


def write_merged(delta: Delta, family: str, source: Path, target: Path) -> None:
    """Writes ``source``, a checkpoint in the layout of the model's own code, with ``delta``.

    Raises:
        InputError: the family has no such layout here, ``source`` is no such checkpoint, or it is
            of another size. Nothing is written then.
    """
    if family not in ORIGINAL:
        raise InputError(
            f"the single-file layout of {family} is not known here. Write a folder instead: "
            "--for checkpoint."
        )
    tensors, metadata = _read(source)
    for path, change in delta.items():
        place = ORIGINAL[family](path)
        key = None if place is None else _key(tensors, place)
        if place is None or key is None:
            raise InputError(
                f"{source} has no place for the layer {path}. Give the single-file checkpoint of "
                f"the {family} model that the erasure was made on, or use --for checkpoint."
            )
        rows = _rows(tensors[key], place)
        if tuple(rows.shape) != change.shape:
            raise InputError(
                f"{key} in {source} is {tuple(rows.shape)}, and the erasure's change "
                f"{change.shape}. Give the model that it was made on."
            )
        rows += change.dense().to(rows)
    with atomic(target) as partial:
        save_file(tensors, partial, metadata)


def _read(source: Path) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    try:
        with safe_open(source, framework="pt") as file:
            opened: Any = file
            names: list[str] = list(opened.keys())
            return {name: opened.get_tensor(name) for name in names}, opened.metadata()
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read {source} as a safetensors checkpoint ({error}). Give --model the single "
            "file that the erasure was made on."
        ) from error


def _key(tensors: dict[str, Tensor], place: Place) -> str | None:
    return next((p + place.key for p in PREFIXES if p + place.key in tensors), None)


def _rows(tensor: Tensor, place: Place) -> Tensor:
    """The rows of ``tensor`` that are the layer's, as a view."""
    return tensor if place.part is None else tensor.chunk(PARTS)[place.part]
