"""Controls: models and pictures that an evaluation must not praise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from trace_erasure.families.table import family_of

FLAT = 8  # levels of 255: the range within which a picture is of a single colour


@contextmanager
def blanked(pipe: Any) -> Iterator[Any]:
    """The degenerate control: within it the denoising network's output is all zeros.

    An evaluation that praises this model measures nothing.
    """

    def zero(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (torch.zeros_like(output[0]), *output[1:])
        output.sample = torch.zeros_like(output.sample)
        return output

    handle = family_of(pipe).network(pipe).register_forward_hook(zero)
    try:
        yield pipe
    finally:
        handle.remove()


def is_blank(image: Image.Image) -> bool:
    """Whether the picture is of a single colour, as failed ones are."""
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return bool((np.ptp(pixels, axis=0) <= FLAT).all())
