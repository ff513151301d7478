"""Ordinary language: broad captions, and the second moment Σ of their embeddings."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
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
from trace_erasure.math.subspaces import gram

ROWS = 8192
"""Embeddings that are held at once while the second moment is taken."""


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
    populations = denoiser.populations(stream)
    batch = max(1, ROWS // sum(length for _, length in populations))
    count = 0.0

    def weighted() -> Iterator[Tensor]:
        nonlocal count
        starts = range(0, len(captions), batch)
        for start in tqdm(starts, desc="second moment", leave=False, disable=None):
            texts = captions[start : start + batch]
            parts = denoiser.embeddings(texts, stream)
            for (tokenizer, _), part in zip(populations, parts, strict=True):
                weight = torch.ones(part.shape[:2], dtype=torch.float64)
                for row, text in zip(weight, texts, strict=True):
                    end = len(tokenizer(text).input_ids) if tokenizer is not None else len(row)
                    if end < len(row):
                        row[end:] = PADDING_WEIGHT / (len(row) - end)
                count += float(weight.sum())
                yield (part * weight.sqrt()[:, :, None]).flatten(0, 1)

    return gram(weighted()) / count
