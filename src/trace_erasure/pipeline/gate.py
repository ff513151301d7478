"""An attached erasure that acts on the late steps of one generation only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from trace_erasure.errors import InputError
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.utils.numbers import check_number


def gate(pipe: Any, name: str, noise_level: float) -> Callable[..., dict[str, Any]]:
    """A ``callback_on_step_end`` for the adapter ``name``; see ``Erasure.gate``."""
    check_number("noise_level", noise_level, 0, 1)
    strength = adapters.strength_of(pipe, name)
    if strength == 0:
        raise InputError(
            "this erasure has strength 0 on this pipeline, so there is nothing to switch on. "
            "Call set_strength first."
        )
    denoiser = Denoiser(pipe)

    def switch(timestep: Any) -> None:
        on = bool(denoiser.noise_levels(torch.as_tensor(timestep)) <= noise_level)
        adapters.set_strength(pipe, name, strength if on else 0.0)

    switch(pipe.scheduler.config.num_train_timesteps - 1)
    done = 0

    def callback(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        nonlocal done
        if step != done:
            raise InputError(
                "this gate has served a generation already, so that the new one may have begun "
                "with the erasure on. Make a new gate for every call of the pipeline."
            )
        done += 1
        if done < len(pipe.scheduler.timesteps):
            switch(pipe.scheduler.timesteps[done])
        else:
            adapters.set_strength(pipe, name, strength)
        return kwargs

    return callback
