"""How pictures are sampled: plain data, which task files and protocols hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trace_erasure.errors import InputError, shown
from trace_erasure.utils.numbers import check_integer, check_number

MAX_PIXELS = 16384
"""Of a side of a picture."""


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled; ``None`` leaves the choice to the pipeline.

    Attributes:
        steps: sampler steps.
        guidance_scale: classifier-free guidance; 1 is none.
        scheduler: name of a diffusers scheduler class to sample with.
        height, width: pixels, both or none.

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
        check_integer("height", self.height, 1, MAX_PIXELS, optional=True)
        check_integer("width", self.width, 1, MAX_PIXELS, optional=True)
        if (self.height is None) != (self.width is None):  # some pipelines ignore one alone
            raise InputError(
                f"height is {self.height} and width is {self.width}. Give both, or leave both out."
            )
        check_number("guidance_scale", self.guidance_scale, 0)
        if not (self.scheduler is None or isinstance(self.scheduler, str)):
            raise InputError(
                f"scheduler is {shown(self.scheduler)}; allowed: a diffusers class name."
            )

    def check(self, scheduler: Any) -> None:
        """Raises ``InputError`` for more steps than ``scheduler`` was trained with."""
        check_integer("steps", self.steps, 1, scheduler.config.num_train_timesteps)
