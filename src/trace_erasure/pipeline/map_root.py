"""G^½ of the maps that read a stream: it depends on the model alone, so it is kept on disk."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import pad

from trace_erasure.math.subspaces import gram_root
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import tensor_bytes
from trace_erasure.utils.cache import cached, key_of

LEAST_KEPT = 512
"""Rows of G^½ below which it is found anew each time, which takes no longer than reading it."""


def map_root(denoiser: Denoiser, stream: str, width: int) -> Tensor:
    """G^½ of the maps that read the ``width`` numbers of ``stream``, (r, width) float64.

    See ``math.subspaces.gram_root``. Kept on disk by the hash of the maps' weights.
    """
    weights = denoiser.weights(stream, width)
    most = min(width, sum(len(weight) for weight in weights.values()))
    if most < LEAST_KEPT:
        return gram_root(list(weights.values()))
    digest = hashlib.sha256()
    for path, weight in weights.items():
        digest.update(f"{path} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(tensor_bytes(weight))
    key = key_of(__name__, torch.__version__, digest.hexdigest())

    def found() -> Tensor:
        root = gram_root(list(weights.values()))
        return pad(root, (0, 0, 0, most - len(root)))  # the cache asks for a shape known before

    root = cached("map-root", key, (most, width), found)
    return root[(root != 0).any(dim=1)]
