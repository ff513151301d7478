"""Names from content: of a base model, whatever is on it, and of everything that decides a run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

HALVES = ("float16", "bfloat16")


class Fingerprint(TypedDict):
    """What tells a base model from another.

    Attributes:
        pipeline: name of the pipeline's class.
        prediction_type: ``epsilon``, ``v_prediction``, ``sample`` or ``flow``.
        sha256: half precision to the digest of the weights in it.
    """

    pipeline: str
    prediction_type: str
    sha256: dict[str, str]


def digest_of(decides: Any) -> str:
    """12 hexadecimal digits that name what ``decides``: JSON's values, and others by their text.

    The order of keys makes no difference.
    """
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fingerprint(pipe: Any) -> Fingerprint:
    """What tells a base model from another, whatever adapters are on it.

    The pipeline's class, its prediction type, and SHA-256 over names, shapes and bytes of the
    layers that read text and of the text encoder's token embedding, without the rows that
    textual inversions add. Weights are hashed as loaded
    in half precision, once for each half precision that they round to directly, so that a model
    keeps its fingerprint whether it was loaded in full or in half.
    """
    import torch

    from trace_erasure.pipeline.denoiser import Denoiser  # diffusers, which readers do without

    denoiser = Denoiser(pipe)
    weights = {
        path: linear.weight
        for stream in denoiser.family.streams
        for path, linear in denoiser.maps(stream.name).items()
    }
    weights["token_embedding"] = original_rows(pipe)
    own = str(denoiser.dtype).removeprefix("torch.")
    dtypes = (own,) if own in HALVES else HALVES
    hashes: dict[str, str] = {}
    for dtype in dtypes:
        digest = hashlib.sha256()
        for name, weight in weights.items():
            digest.update(f"{name} {tuple(weight.shape)} ".encode())
            digest.update(tensor_bytes(weight.detach().to(getattr(torch, dtype))))
        hashes[dtype] = digest.hexdigest()
    return {
        "pipeline": type(pipe).__name__,
        "prediction_type": denoiser.prediction,
        "sha256": hashes,
    }


def original_rows(pipe: Any) -> Tensor:
    """The token embedding without the rows that textual inversions have added at its end."""
    if pipe.text_encoder is None or pipe.tokenizer is None:
        raise InputError(
            "this pipeline was loaded without its text encoder or its tokenizer, which belong to "
            "the fingerprint of a model. Load it with them."
        )
    weight = pipe.text_encoder.get_input_embeddings().weight
    added = getattr(pipe.tokenizer, "added_tokens_decoder", {})
    rows = len(weight)
    while rows - 1 in added and not added[rows - 1].special:
        rows -= 1
    return weight[:rows]


def difference(made_on: Fingerprint, found: Fingerprint) -> str:
    """How two fingerprints differ, in words; empty where they agree."""
    for key in ("pipeline", "prediction_type"):
        if made_on[key] != found[key]:
            return f"{key} {made_on[key]} there, {found[key]} here"
    here, there = found["sha256"], made_on["sha256"]
    shared = sorted(here.keys() & there.keys())
    if not shared:
        return f"made in {', '.join(there)}, loaded in {', '.join(here)}: not comparable"
    dtype = shared[0]
    if here[dtype] != there[dtype]:
        return f"fingerprint {there[dtype][:12]} there, {here[dtype][:12]} here"
    return ""


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The values of a tensor as they lie in memory, row by row; no copy of one that lies there."""
    import torch

    return tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data
