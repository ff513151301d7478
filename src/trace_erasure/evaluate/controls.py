"""Controls: models and pictures that an evaluation must not praise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from PIL import Image

from trace_erasure.families.table import family_of

FLAT = 8  # levels of 255: the range within which a picture is of a single colour


@contextmanager
def blanked(pipe: Any) -> Iterator[Any]:
    """The degenerate control: within it the denoising network's output is all zeros.

    An evaluation that praises this model measures nothing. The network itself never runs.
    """
    network = family_of(pipe).network(pipe)

    def zero(*inputs: Any, return_dict: bool = True, **named: Any) -> Any:
        states = inputs[0] if inputs else named.get("sample", named.get("hidden_states"))
        output = torch.zeros_like(states)
        return UNet2DConditionOutput(sample=output) if return_dict else (output,)

    network.forward = zero
    try:
        yield pipe
    finally:
        del network.forward


def is_blank(image: Image.Image) -> bool:
    """Whether the picture is of a single colour, as failed ones are."""
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return bool((np.ptp(pixels, axis=0) <= FLAT).all())
