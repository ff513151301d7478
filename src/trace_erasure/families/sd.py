"""Stable Diffusion 1.x and 2.x: cross-attention reads the tokens, nothing reads a pooled vector."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from trace_erasure.families.table import Conditioning, Family


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _ = pipe.encode_prompt(prompts, pipe.device, 1, False)
    return Conditioning(tokens)


def predict(pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning) -> Tensor:
    return pipe.unet(states, timesteps, encoder_hidden_states=conditioning.tokens).sample


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    size, factor = pipe.unet.config.sample_size, pipe.vae_scale_factor
    return (
        pipe.unet.config.in_channels,
        height // factor if height else size,
        width // factor if width else size,
    )


STABLE_DIFFUSION = Family(
    name="stable-diffusion",
    pipelines=("StableDiffusionPipeline",),
    denoiser="unet",
    token_maps=re.compile(r".*\.attn2\.to_[kv]"),
    pooled_maps=None,
    adapters=re.compile(r".*\.attn2\.to_[kv]"),
    lora_keys="kohya",
    modelspec="stable-diffusion-v1/lora",
    kohya_base="sd_v1",
    encode=encode,
    predict=predict,
    state_shape=state_shape,
)
