"""How pictures are sampled: plain data, which task files and protocols hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from trace_erasure.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled; ``None`` leaves the choice to the pipeline.

    Attributes:
        steps: sampler steps.
        guidance_scale: classifier-free guidance; 1 is none.
        scheduler: name of a diffusers scheduler class to sample with.
        height, width: pixels.

    Raises:
        InputError: a value is of another type, or out of range.
    """

    steps: int = 20
    guidance_scale: float = 3.5
    scheduler: str | None = None
    height: int | None = None
    width: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "height", "width"):
            value = getattr(self, name)
            if value is None and name != "steps":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} is {value!r}; allowed: whole numbers from 1.")
        scale = self.guidance_scale
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        if not (number and math.isfinite(scale) and scale >= 0):
            raise InputError(f"guidance_scale is {scale!r}; allowed: numbers from 0, 1 is none.")
        if not (self.scheduler is None or isinstance(self.scheduler, str)):
            raise InputError(f"scheduler is {self.scheduler!r}; allowed: a diffusers class name.")
