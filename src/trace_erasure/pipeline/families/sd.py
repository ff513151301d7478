"""Stable Diffusion 1.x and 2.x: cross-attention reads the tokens, nothing reads a pooled vector."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.family import (
    TOKENS,
    Attention,
    Conditioning,
    Family,
    Stream,
    TokenSegment,
    labelled,
    latent_shape,
)

if TYPE_CHECKING:
    from torch import Tensor

CROSS_ATTENTION = re.compile(r".*\.attn2\.to_[kv]")
UNET_ATTENTION = Attention(
    modules=re.compile(r".*\.attn2"),
    text=re.compile(r".*\.attn2\.(to_[qkv]|to_out\.0)"),
    image=re.compile(
        r".*\.transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    ),
    text_queries_keys=re.compile(r".*\.attn2\.to_[qk]"),
    values=re.compile(r".*\.attn2\.to_v"),
    joint=False,
)
WIDTH_2 = 1024
"""Of a token embedding in Stable Diffusion 2.x; in 1.x it is 768."""


def labels(width: int | None, prediction: str) -> dict[str, str]:
    if width != WIDTH_2:
        return labelled("stable-diffusion-v1", "sd_v1")(width, prediction)
    if prediction == "v_prediction":
        entries = labelled("stable-diffusion-v2-768-v", "sd_v2_v")(width, prediction)
    else:
        entries = labelled("stable-diffusion-v2-512", "sd_v2")(width, prediction)
    return {**entries, "ss_v2": "True"}


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _ = pipe.encode_prompt(prompts, pipe.device, 1, False)
    return Conditioning(tokens)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    return pipe.unet(states, timesteps, encoder_hidden_states=conditioning.tokens).sample


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    config = pipe.unet.config
    return latent_shape(pipe, config.in_channels, config.sample_size, height, width)


STABLE_DIFFUSION = Family(
    name="stable-diffusion",
    pipelines=("StableDiffusionPipeline",),
    denoiser="unet",
    streams=(Stream(TOKENS, CROSS_ATTENTION, (TokenSegment(),)),),
    adapters=CROSS_ATTENTION,
    attention=UNET_ATTENTION,
    lora_keys="kohya",
    mixin="StableDiffusionLoraLoaderMixin",
    labels=labels,
    encode=encode,
    predict=predict,
    state_shape=state_shape,
)
