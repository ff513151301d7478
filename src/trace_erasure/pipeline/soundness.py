"""Whether a pipeline's numbers can be computed with, before anything is."""

from __future__ import annotations

import torch
from torch import nn

from trace_erasure.errors import InputError
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser

PROBE = "a"
"""A prompt that every text encoder reads otherwise than the empty one."""


def check_sound(denoiser: Denoiser) -> None:
    """Raises ``InputError`` for weights that are NaN or infinite, for text-facing maps that read
    nothing, and for text encoders that give the same for every prompt."""
    for name, part in sorted(denoiser.pipe.components.items()):
        if part is denoiser.network or (name.startswith("text_encoder") and part is not None):
            _check_finite(name, part)
    empty, probe = denoiser.encode([EMPTY]), denoiser.encode([PROBE])
    for stream in denoiser.family.streams:
        maps = denoiser.maps(stream.name)
        if maps and not any(layer.weight.any() for layer in maps.values()):
            raise _damaged("the layers that read text are all zero")
        parts = zip(
            denoiser.parts(empty, stream.name), denoiser.parts(probe, stream.name), strict=True
        )
        for one, other in parts:
            if not (one.isfinite().all() and other.isfinite().all()):
                raise _damaged("the embeddings of a prompt are not finite")
            if one.shape == other.shape and torch.equal(one, other):
                raise _damaged("a text encoder gives the same for every prompt")


def _check_finite(name: str, part: nn.Module) -> None:
    for path, weight in part.named_parameters():
        if weight.is_meta:
            raise _damaged(f"the weights of its {name} are offloaded one by one")
        if not weight.numel() or not weight.is_floating_point():
            continue
        values = weight.detach().float() if weight.dtype.itemsize == 1 else weight.detach()
        # In one pass over the weights, and without a mask as large as they are.
        if not all(bound.isfinite() for bound in values.aminmax()):
            raise _damaged(f"{name}.{path} holds NaN or infinite numbers")


def _damaged(reason: str) -> InputError:
    return InputError(
        f"this pipeline cannot be used: {reason}. Load it again from its source, or in float32 "
        "where half precision overflows."
    )
