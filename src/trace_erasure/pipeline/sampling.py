"""How pictures are sampled: plain data, which task files and protocols hold."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.errors import InputError
from trace_erasure.utils.numbers import check_integer, check_number


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
        check_integer("steps", self.steps, 1)
        check_integer("height", self.height, 1, optional=True)
        check_integer("width", self.width, 1, optional=True)
        check_number("guidance_scale", self.guidance_scale, 0)
        if not (self.scheduler is None or isinstance(self.scheduler, str)):
            raise InputError(f"scheduler is {self.scheduler!r}; allowed: a diffusers class name.")
