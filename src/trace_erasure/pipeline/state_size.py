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
    pixels = PROBE // shape(pipe, PROBE, PROBE)[-1]
    height, width = (side * pixels for side in shape(pipe, None, None)[-2:])
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
    return max(1, min(most, most * PLACES // (shape[-2] * shape[-1])))
