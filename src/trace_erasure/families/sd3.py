"""Stable Diffusion 3 and 3.5: one layer reads the tokens of two CLIP encoders and then of T5, one
reads the two pooled CLIP vectors; the network predicts a rectified flow."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from trace_erasure.families.flow import (
    JOINT_ATTENTION,
    POOLED_MAP,
    TEXT_ATTENTION,
    TOKEN_MAP,
    shift,
)
from trace_erasure.families.table import (
    POOLED,
    TOKENS,
    Conditioning,
    Family,
    Population,
    Stream,
    labelled,
    latent_shape,
)

T5 = Population("tokenizer_3", longest=256)
MAX_SHIFT = 1.16


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _, pooled, _ = pipe.encode_prompt(
        prompts,
        None,
        None,
        device=pipe.device,
        do_classifier_free_guidance=False,
        max_sequence_length=T5.length(pipe),
    )
    return Conditioning(tokens, pooled)


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
    patch = pipe.transformer.config.patch_size
    patches = (shape[-2] // patch) * (shape[-1] // patch)
    return {"mu": shift(config, patches, MAX_SHIFT)}


STABLE_DIFFUSION_3 = Family(
    name="stable-diffusion-3",
    pipelines=("StableDiffusion3Pipeline",),
    denoiser="transformer",
    streams=(
        Stream(TOKENS, TOKEN_MAP, (Population(), T5)),
        Stream(POOLED, POOLED_MAP),
    ),
    adapters=TEXT_ATTENTION,
    attention=JOINT_ATTENTION,
    lora_keys="diffusers",
    labels=labelled("stable-diffusion-3", "sd3"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    schedule=schedule,
)
