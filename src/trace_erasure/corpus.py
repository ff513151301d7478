"""Ordinary language: broad captions, and the second moment Σ of their embeddings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from trace_erasure.columns import PADDING_WEIGHT
from trace_erasure.denoiser import Denoiser
from trace_erasure.families.table import TOKENS
from trace_erasure.files import atomic

BATCH = 100


@cache
def broad_captions() -> tuple[str, ...]:
    """The captions that ship with the package, one a line."""
    text = files("trace_erasure").joinpath("data/captions.txt").read_text("utf-8")
    return tuple(text.splitlines())


def captions_or_broad(captions: Sequence[str] | None) -> tuple[str, ...]:
    """``captions`` where they are given, else ``broad_captions``."""
    return broad_captions() if captions is None else tuple(captions)


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


def second_moment(
    denoiser: Denoiser, captions: Sequence[str] | None = None, stream: str = TOKENS
) -> Tensor:
    """Σ = mean of e eᵀ over what a stream carries for ``captions``, (d, d) float64.

    Words count one each and padding as much as ``PADDING_WEIGHT`` words a caption; a pooled vector
    counts one. Depends on the text encoders alone, so it is computed once and cached on disk by
    the encoders' hash.
    """
    captions = captions_or_broad(captions)
    key = hashlib.sha256(repr(captions).encode())
    for part in denoiser.embeddings(["", captions[0]], stream):
        key.update(part.float().numpy().tobytes())
    return cached("second-moment", key, lambda: _second_moment(denoiser, captions, stream))


def _second_moment(denoiser: Denoiser, captions: Sequence[str], stream: str) -> Tensor:
    moment, count = None, 0.0
    starts = range(0, len(captions), BATCH)
    for start in tqdm(starts, desc="second moment", leave=False, disable=None):
        batch = captions[start : start + BATCH]
        parts = denoiser.embeddings(batch, stream)
        for (tokenizer, _), part in zip(denoiser.populations(stream), parts, strict=True):
            weight = torch.ones(part.shape[:2], dtype=torch.float64)
            for row, text in zip(weight, batch, strict=True):
                end = len(tokenizer(text).input_ids) if tokenizer is not None else len(row)
                if end < len(row):
                    row[end:] = PADDING_WEIGHT / (len(row) - end)
            added = torch.einsum("npd,np,npe->de", part, weight, part)
            moment = added if moment is None else moment + added
            count += float(weight.sum())
    assert moment is not None
    return moment / count
