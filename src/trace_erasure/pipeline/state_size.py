"""How large states are that only compare predictions, and how many go through a network at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trace_erasure.pipeline.denoiser import Denoiser

MEASURED = 512
"""Pixels of the longer side: more cost memory and time, and say the same of what words change."""
PROBE = 1024
"""Pixels of a picture whose state tells how many pixels one of its places stands for."""
PLACES = 64 * 64
"""Places of a Stable Diffusion 1 state, for which the usual numbers of states are meant."""


def measuring_size(denoiser: Denoiser) -> tuple[int, int] | None:
    """(height, width) in pixels of states at which predictions are only compared.

    None is the model's own size, where that is small enough. Sampling, certificates and training
    are about the model's own size, and use it.

    >>> from trace_erasure.testing import tiny_stable_diffusion
    >>> measuring_size(Denoiser(tiny_stable_diffusion())) is None
    True
    """
    shape, pipe = denoiser.family.state_shape, denoiser.pipe
    large, small = shape(pipe, PROBE, PROBE), shape(pipe, PROBE // 2, PROBE // 2)
    # Channels come first or last; sides are what grows with the picture.
    axes = [i for i, (one, other) in enumerate(zip(large, small, strict=True)) if one != other]
    pixels = PROBE // large[axes[0]]
    height, width = (shape(pipe, None, None)[axis] * pixels for axis in axes)
    if max(height, width) <= MEASURED:
        return None
    step = 2 * pixels  # transformers read patches of two by two
    height, width = (side * MEASURED // max(height, width) for side in (height, width))
    return height // step * step, width // step * step


def at_once(shape: Sequence[int] | Any, most: int) -> int:
    """How many states of ``shape`` (…, h, w) go through a network together: ``most``, and fewer
    where they are larger than those of Stable Diffusion 1.

    >>> at_once((4, 64, 64), 64), at_once((16, 128, 128), 64)
    (64, 16)
    """
    *_, one, other = sorted(shape)  # the sides, wherever the channels are
    return max(1, min(most, most * PLACES // (one * other)))
