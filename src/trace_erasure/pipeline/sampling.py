"""How pictures are sampled: plain data, which task files and protocols hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled; ``None`` leaves the choice to the pipeline.

    Attributes:
        steps: sampler steps.
        guidance_scale: classifier-free guidance; 1 is none.
        scheduler: name of a diffusers scheduler class to sample with.
        height, width: pixels.
    """

    steps: int = 20
    guidance_scale: float = 3.5
    scheduler: str | None = None
    height: int | None = None
    width: int | None = None
