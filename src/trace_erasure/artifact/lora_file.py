"""Files: LoRA key formats and safetensors headers. Nothing else knows them.

A file holds one change as a LoRA that plain diffusers, ComfyUI and the WebUIs load on their own,
so the scale is folded into the factors: ``alpha`` equals the rank, and every rank is the same.
The same content always gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trace_erasure.artifact.provenance import PROVENANCE
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline.families.family import Family
from trace_erasure.utils.atomic import atomic

DIGEST = "trace_erasure.sha256"
PREDICTION_NAMES = {"v_prediction": "v"}
"""Where ModelSpec's word for a prediction type is not diffusers'."""
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""First bytes of what ``torch.save`` writes, new and old."""


# Tensors ----------------------------------------------------------------------------------


def state_dict(delta: Delta, family: Family, spelling: str | None = None) -> dict[str, Tensor]:
    """``delta`` under the names of ``spelling``, one of ``SPELLINGS``: float32, on the CPU.

    None is the family's own. Ranks are zero-padded to the largest: loaders disagree on files of
    mixed ranks.
    """
    rank = max(change.rank for change in delta.values())
    tensors: dict[str, Tensor] = {}
    for path, change in sorted(delta.items()):
        change = change.pad(rank).to("cpu", torch.float32)
        down, up, alpha = _keys(path, family, spelling)
        tensors[down], tensors[up] = change.down.contiguous(), change.up.contiguous()
        if alpha:
            tensors[alpha] = torch.tensor(float(rank))
    return tensors


def delta_of(
    tensors: Mapping[str, Tensor],
    family: Family,
    paths: Iterable[str],
    spelling: str | None = None,
) -> dict[str, LowRank]:
    """The inverse of ``state_dict``, padding included.

    ``paths`` are the module paths of the change: kohya's names cannot be read backwards, since
    dots and underscores look the same in them.
    """
    delta: dict[str, LowRank] = {}
    for path in paths:
        down, up, _ = _keys(path, family, spelling)
        delta[path] = LowRank(tensors[down], tensors[up])
    return delta


def check_tensors(
    tensors: Mapping[str, Tensor],
    family: Family,
    ranks: Mapping[str, tuple[int, int]],
    spelling: str | None = None,
) -> None:
    """Raises ``InputError`` unless a file holds exactly the tensors that its ``ranks`` promise.

    Other loaders apply whatever is in a file, so that nothing may be in it beside that: no further
    tensor, no rank beyond the promised one, no other scale.
    """
    rank = max(map(sum, ranks.values()))
    keys = {path: _keys(path, family, spelling) for path in ranks}
    expected = {key for names in keys.values() for key in names if key}
    for key in sorted(expected ^ tensors.keys()):
        problem = "lacks" if key in expected else "has"
        raise InputError(f"it {problem} the tensor {key!r}, which its header's ranks do not say")
    for path, (down, up, alpha) in keys.items():
        shapes = f"{tuple(tensors[down].shape)} and {tuple(tensors[up].shape)}"
        if tensors[down].ndim != 2 or tensors[up].ndim != 2:
            raise InputError(f"the factors of {path} are {shapes}: not two matrices")
        if tensors[down].shape[0] != rank or tensors[up].shape[1] != rank:
            raise InputError(f"the factors of {path} are {shapes}; by its header their rank {rank}")
        for key in (down, up):
            if tensors[key].dtype != torch.float32:
                raise InputError(f"{key!r} is {tensors[key].dtype}, not torch.float32")
        own = sum(ranks[path])
        if tensors[down][own:].any() and tensors[up][:, own:].any():
            raise InputError(f"the factors of {path} go beyond rank {own}, which its header says")
        if alpha and (tensors[alpha].numel() != 1 or tensors[alpha].item() != rank):
            raise InputError(f"{alpha!r} is not {rank}, the rank")


Names = tuple[str, str, str | None]
"""Of the (down, up, alpha) tensors of one module; peft's format has no alpha."""


def _kohya(stem: str) -> Names:
    stem = f"lora_unet_{stem}"
    return f"{stem}.lora_down.weight", f"{stem}.lora_up.weight", f"{stem}.alpha"


def _peft(stem: str) -> Names:
    return f"{stem}.lora_A.weight", f"{stem}.lora_B.weight", None


SPELLINGS: Mapping[str, Callable[[str, Family], Names]] = {
    "kohya": lambda path, family: _kohya(family.kohya_names.get(path, path.replace(".", "_"))),
    "kohya-diffusers": lambda path, family: _kohya(path.replace(".", "_")),
    "diffusers": lambda path, family: _peft(f"{family.denoiser}.{path}"),
    "peft": lambda path, family: _peft(f"base_model.model.{path}"),
}
"""A module's path to the names of its tensors, by format. ``kohya-diffusers`` is kohya's with the
paths of diffusers throughout."""
SPELLING = "trace_erasure.spelling"
"""The header entry of a file that is not spelled as its family's are."""


def _keys(path: str, family: Family, spelling: str | None = None) -> Names:
    name = spelling or family.lora_keys
    if name not in SPELLINGS:
        raise ValueError(f"unknown LoRA key format {name!r}; known: {', '.join(SPELLINGS)}")
    return SPELLINGS[name](path, family)


# Header -----------------------------------------------------------------------------------


def header(
    family: Family,
    rank: int,
    provenance: Mapping[str, Any],
    *,
    prediction: str,
    title: str,
    description: str,
    date: str | None = None,
    text_width: int | None = None,
) -> dict[str, str]:
    """The metadata of a file.

    Three groups for other tools (``format``, ModelSpec 1.0.1 for model browsers, kohya's ``ss_``
    keys, from which WebUIs tell the base model) and ``trace_erasure``, our ``provenance`` as JSON.

    Args:
        family: of the base model.
        rank: of every module in the file.
        provenance: JSON-able; NaN and infinity are not JSON and raise ``ValueError``.
        prediction: the base model's prediction type.
        title: of the file, for people.
        description: of the file, for people.
        date: ISO 8601; left out where None, since a clock would change the bytes.
        text_width: of the base model's token embeddings, which tells versions of a family apart.
    """
    metadata = {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.description": description,
        "modelspec.prediction_type": PREDICTION_NAMES.get(prediction, prediction),
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),
        **family.labels(text_width, prediction),
        PROVENANCE: json.dumps(provenance, sort_keys=True, allow_nan=False),
    }
    if date is not None:
        metadata["modelspec.date"] = date
    return metadata


# Files ------------------------------------------------------------------------------------


def write(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Writes a safetensors file whole or not at all; equal content gives equal bytes.

    Raises:
        NonFiniteError: for a tensor that is not finite.
        InputError: where the file cannot be written. Nothing is left behind, and a file that was
            there before stays as it was.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise NonFiniteError(f"{name} is not finite; nothing was written.")
    entries, data = _split(save(dict(tensors)))
    metadata = {**metadata, "modelspec.hash_sha256": f"0x{hashlib.sha256(data).hexdigest()}"}
    metadata[DIGEST] = _digest(entries, metadata, data)
    content = _join({**entries, "__metadata__": metadata}, data)

    with atomic(Path(path)) as partial, partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the metadata of a file that ``write`` made.

    Raises:
        InputError: for a file that is missing, a pickle, incomplete, changed since it was
            written, not finite, or not written by this package.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}. Check the path.") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}.") from error
    if content.startswith(PICKLES):
        raise InputError(
            f"{path} is a PyTorch pickle, which can run code when it is opened. "
            "Only safetensors files are read; ask its author for one."
        )
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise InputError(
            f"{path} is not a complete safetensors file ({error}): it was cut short or damaged, or "
            "is something else. Copy it again from its source."
        ) from error
    entries, data = _split(content)
    metadata: dict[str, str] = entries.pop("__metadata__", {})
    if PROVENANCE not in metadata:
        raise InputError(
            f"{path} is a safetensors file, but no erasure of trace_erasure: its header has no "
            f"{PROVENANCE!r} entry. Load any other LoRA with pipe.load_lora_weights."
        )
    if metadata.pop(DIGEST, None) != _digest(entries, metadata, data):
        raise InputError(
            f"{path} was changed after it was written: its content does not match the SHA-256 in "
            "its header. Copy it again from its source."
        )
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name} is not finite. Make the erasure again.")
    return tensors, metadata


def _split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """(header, tensor data) of safetensors bytes: 8 bytes of length, a JSON header, the data."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def _join(entries: Mapping[str, Any], data: bytes) -> bytes:
    """Safetensors bytes with sorted keys (the library's own order of metadata is random)."""
    text = _canonical(entries)
    text += b" " * (-len(text) % 8)  # the format aligns the data to 8 bytes
    return len(text).to_bytes(8, "little") + text + data


def _canonical(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(entries: Mapping[str, Any], metadata: Mapping[str, str], data: bytes) -> str:
    """SHA-256 of everything that a file says: names, shapes, metadata and tensor bytes."""
    digest = hashlib.sha256(_canonical({**entries, "__metadata__": metadata}))
    digest.update(data)
    return digest.hexdigest()
