"""Stable Diffusion 3 and 3.5: one layer reads the tokens of two CLIP encoders and then of T5, one
reads the two pooled CLIP vectors; the network predicts a rectified flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.family import (
    Conditioning,
    Family,
    TokenSegment,
    encoded,
    labelled,
    latent_shape,
)
from trace_erasure.pipeline.families.flow import JOINT_ATTENTION, TEXT_ATTENTION, shift, streams

if TYPE_CHECKING:
    from torch import Tensor

T5 = TokenSegment("tokenizer_3", longest=256)
MAX_SHIFT = 1.16


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = T5.length(pipe)
    return encoded(pipe, prompts, prompt_2=None, prompt_3=None, max_sequence_length=length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    return pipe.transformer(
        states,
        timestep=timesteps,
        encoder_hidden_states=conditioning.tokens,
        pooled_projections=conditioning.pooled,
    ).sample


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    config = pipe.transformer.config
    return latent_shape(pipe, config.in_channels, config.sample_size, height, width)


def schedule(pipe: Any, steps: int, shape: tuple[int, ...]) -> dict[str, Any]:
    config = pipe.scheduler.config
    if not config.get("use_dynamic_shifting", False):
        return {}
    return {"mu": shift(config, shape, pipe.transformer.config.patch_size, MAX_SHIFT)}


STABLE_DIFFUSION_3 = Family(
    name="stable-diffusion-3",
    pipelines=("StableDiffusion3Pipeline",),
    denoiser="transformer",
    streams=streams(TokenSegment(), T5),
    adapters=TEXT_ATTENTION,
    attention=JOINT_ATTENTION,
    lora_keys="diffusers",
    mixin="SD3LoraLoaderMixin",
    labels=labelled("stable-diffusion-3", "sd3"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    bidirectional=True,
    schedule=schedule,
)
