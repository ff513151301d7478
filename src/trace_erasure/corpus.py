"""Ordinary language: broad captions, and the second moment Σ of their embeddings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from trace_erasure.columns import PADDING_WEIGHT
from trace_erasure.denoiser import Denoiser
from trace_erasure.files import atomic

BATCH = 100


@cache
def broad_captions() -> tuple[str, ...]:
    """The captions that ship with the package, one a line."""
    text = files("trace_erasure").joinpath("data/captions.txt").read_text("utf-8")
    return tuple(text.splitlines())


def cache_folder() -> Path:
    """Where second moments are kept between runs: ``$XDG_CACHE_HOME/trace-erasure``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "trace-erasure"


def second_moment(denoiser: Denoiser, captions: Sequence[str] | None = None) -> Tensor:
    """Σ = mean of e eᵀ over the token embeddings of ``captions``, (d, d) float64.

    Words count one each and padding as much as ``PADDING_WEIGHT`` words a caption. Depends on the
    text encoder alone, so it is computed once and cached on disk by the encoder's hash.
    """
    captions = broad_captions() if captions is None else tuple(captions)
    key = hashlib.sha256(repr(captions).encode())
    key.update(denoiser.encode(["", captions[0]]).tokens.float().cpu().numpy().tobytes())
    file = cache_folder() / f"second-moment-{key.hexdigest()[:24]}.safetensors"
    if file.exists():
        return load_file(file)["second_moment"]
    moment, count = None, 0.0
    starts = range(0, len(captions), BATCH)
    for start in tqdm(starts, desc="second moment", leave=False, disable=None):
        batch = captions[start : start + BATCH]
        tokens = denoiser.encode(batch).tokens.double().cpu()
        ends = [len(denoiser.pipe.tokenizer(text).input_ids) for text in batch]
        weight = torch.zeros(tokens.shape[:2], dtype=torch.float64)
        for row, end in zip(weight, ends, strict=True):
            row[:end] = 1.0
            if end < len(row):
                row[end:] = PADDING_WEIGHT / (len(row) - end)
        part = torch.einsum("npd,np,npe->de", tokens, weight, tokens)
        moment = part if moment is None else moment + part
        count += float(weight.sum())
    assert moment is not None
    moment /= count
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as partial:
        save_file({"second_moment": moment}, partial)
    return moment
