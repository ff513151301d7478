"""The same picture at strengths from 0 to 1."""

from __future__ import annotations

from typing import Any

from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation.tasks.task import Item
from trace_erasure.pipeline.generate import generate
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.pipeline.sampling import Sampling

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def faded(
    pipe: Any, erasure: Erasure, item: Item, sampling: Sampling, store: ImageStore
) -> tuple[Image.Image, ...]:
    """The picture of ``item`` at each of ``STRENGTHS``; ``pipe`` is left as it was."""
    found: list[Image.Image] = []
    with erasure.attach(pipe):
        for strength in STRENGTHS:
            erasure.set_strength(pipe, strength)
            found += generate(
                pipe,
                [item.prompt],
                [item.seed],
                steps=sampling.steps,
                guidance_scale=sampling.guidance_scale,
                store=store,
                model=f"{erasure.name} at {strength}",
            )
    return tuple(found)
