"""Controls: models and pictures that an evaluation must not praise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.record import CustomRecord
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.families.registry import family_of

CONTROLS = {
    "base": "original model",
    "drift": "random drift",
    "blank": "blank pictures",
}
"""Methods that stand in every table: nothing done, as much done without aim, all destroyed."""

FLAT = 8  # levels of 255: the range within which a picture is of a single colour


@contextmanager
def blanked(pipe: Any) -> Iterator[Any]:
    """The degenerate control: within it the denoising network's output is all zeros.

    An evaluation that praises this model measures nothing. The network itself never runs.
    """
    network = family_of(pipe).network(pipe)

    def zero(*inputs: Any, return_dict: bool = True, **named: Any) -> Any:
        states = inputs[0] if inputs else named["sample" if "sample" in named else "hidden_states"]
        output = torch.zeros_like(states)
        return UNet2DConditionOutput(sample=output) if return_dict else (output,)

    network.forward = zero
    try:
        yield pipe
    finally:
        del network.forward


def random_drift(erasure: Erasure, seed: int = 0) -> Erasure:
    """The control without aim: as large a change as ``erasure`` in every layer, in any direction.

    Each change keeps its rank and its Frobenius norm; its factors are Gaussian. What this does to
    the concept or to anything else is owed to the size of the change alone.
    """
    generator = torch.Generator().manual_seed(seed)
    drift: dict[str, LowRank] = {}
    for path, change in sorted(erasure.delta.items()):
        down = torch.randn(change.down.shape, generator=generator)
        up = torch.randn(change.up.shape, generator=generator)
        drawn = LowRank(down, up)
        size = change.to(torch.float32).norm() / drawn.norm() if change.rank else 0.0
        drift[path] = drawn.scale(float(size))
    record = CustomRecord(
        title="Control: random drift",
        description="Random changes of the size of an erasure. Erases nothing on purpose.",
        details={"of": erasure.name, "seed": seed},
    )
    return Erasure(erasure.family, erasure.base, drift, {}, record)


def is_blank(image: Image.Image) -> bool:
    """Whether the picture is of a single colour, as failed ones are."""
    pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return bool((np.ptp(pixels, axis=0) <= FLAT).all())
