"""What stage 2 could do at best, before any training: perfect steering, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, FinetuneConfig
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.sampler import to_pictures
from trace_erasure.trace.request import resolve
from trace_erasure.trace.windows import LOWEST, NOWHERE, Oracle
from trace_erasure.utils.progress import progress


@dataclass(frozen=True)
class WindowForecast:
    """Perfect steering at and below one noise level.

    Attributes:
        noise_level: τ; 0 steers nowhere.
        left: share of pictures that show the concept by the model's own evidence.
        pictures: at equal seeds in every window.
    """

    noise_level: float
    left: float
    pictures: tuple[Image.Image, ...]


@dataclass(frozen=True)
class OracleForecast:
    """What perfect steering would leave of a concept.

    Attributes:
        concept: with its surrogate.
        objective: that is aimed at.
        prompts: of the pictures, in turn.
        windows: by noise level, the one that steers nowhere first.
        tells: whether the model tells pictures with the concept from those without it; where it
            does not, ``left`` says nothing.
    """

    concept: Concept
    objective: str
    prompts: tuple[str, ...]
    windows: tuple[WindowForecast, ...]
    tells: bool

    @property
    def smallest(self) -> float | None:
        """The smallest τ that leaves nothing of the concept, if any does."""
        return next((window.noise_level for window in self.windows if window.left == 0), None)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it, without the pictures."""
        return {
            "concept": self.concept.phrase,
            "surrogate": self.concept.surrogate,
            "objective": self.objective,
            "prompts": list(self.prompts),
            "windows": [
                {"noise_level": window.noise_level, "left": window.left} for window in self.windows
            ],
            "smallest": self.smallest,
            "tells": self.tells,
        }


def oracle_forecast(
    pipe: Any,
    concept: Concept,
    settings: FinetuneConfig = FinetuneConfig(),
    captions: Sequence[str] | None = None,
    seed: int = 0,
) -> OracleForecast:
    """Draws what the teacher would draw if it emitted the objective's target itself.

    Args:
        pipe: a diffusers pipeline; it stays as it is.
        settings: state prompts, objective, η and the sampler's settings.
        captions: ordinary language, where a surrogate is found; default: the package's.
        seed: of the pictures.

    Example:
        >>> from trace_erasure import Concept, FinetuneConfig
        >>> from trace_erasure.guarantees.oracle_forecast import oracle_forecast
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> fox = Concept("fox", surrogate="dog")
        >>> short = FinetuneConfig(sampler_steps=3)
        >>> found = oracle_forecast(tiny_stable_diffusion(), fox, short, CAPTIONS)
        >>> found.windows[0].noise_level, len(found.windows) > 1
        (0.0, True)
    """
    denoiser = Denoiser(pipe)
    planned = resolve(denoiser, EraseConfig((concept,), finetune=settings), captions)
    assert planned.steered is not None  # there is a stage 2
    with denoiser.without_adapters():
        oracle = Oracle(denoiser, planned.steered, settings, seed)
        levels = denoiser.noise_levels(denoiser.timesteps(settings.sampler_steps).cpu()).tolist()
        tau = [NOWHERE, *sorted(level for level in levels if level >= LOWEST)]
        tried = [oracle.at(level) for level in progress(tau, desc="windows of perfect steering")]
        windows = tuple(
            WindowForecast(
                window.noise_level, window.left, tuple(to_pictures(denoiser, window.pictures))
            )
            for window in tried
        )
    return OracleForecast(
        planned.concepts[0].plain(),
        settings.objective_name,
        oracle.prompts,
        windows,
        oracle.scale.tells,
    )
