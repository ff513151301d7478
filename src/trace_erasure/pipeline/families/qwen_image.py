"""Qwen-Image: one layer behind a norm reads the tokens of Qwen2.5-VL, nothing reads a pooled
vector; the network predicts a rectified flow.

Text is rotated by its place, and padding is masked. Guidance keeps the length of every patch's
prediction.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families import pictures
from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, extrapolated, labelled, latent_shape
from trace_erasure.pipeline.families.flow import (
    JOINT_ATTENTION,
    TEXT_ATTENTION,
    TIMESTEPS,
    dynamic_schedule,
)
from trace_erasure.pipeline.families.flux import PATCH, pack, unpack
from trace_erasure.pipeline.families.reading import Reader
from trace_erasure.pipeline.families.stream import Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"txt_in")
ATTENTION = replace(
    JOINT_ATTENTION,
    image=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|to_out\.0)|(img|txt)_mlp\.net\.(0\.proj|2))"
    ),
    values=TOKEN_MAP,
)


def read(pipe: Any) -> Reader:
    dropped = pipe.prompt_template_encode_start_idx
    return Reader(pipe.tokenizer, pipe.prompt_template_encode.format, skipped=dropped)


QWEN25 = TokenSegment(longest=512, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    import torch

    length = QWEN25.length(pipe)
    tokens, mask = pipe.encode_prompt(prompts, pipe.device, max_sequence_length=length)
    if mask is None:  # prompts of one length
        mask = torch.ones_like(tokens[..., 0])
    return masked(tokens, mask, length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, guidance: float
) -> Tensor:
    """States are latents (n, c, h, w), as FLUX.1's."""
    height, width = states.shape[-2:]
    output = pipe.transformer(
        hidden_states=pack(states),
        timestep=timesteps.to(states.dtype) / TIMESTEPS,
        encoder_hidden_states=conditioning.tokens,
        img_shapes=[[(1, height // PATCH, width // PATCH)]] * len(states),
    ).sample
    return unpack(output, height, width)


def guide(pipe: Any, unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance; every patch then gets the length of the conditional one."""
    height, width = conditional.shape[-2:]
    rows, own = pack(extrapolated(pipe, unconditional, conditional, scale)), pack(conditional)
    rows = rows * (own.norm(dim=-1, keepdim=True) / rows.norm(dim=-1, keepdim=True))
    return unpack(rows, height, width)


def guided_by(scale: float, count: int) -> dict[str, Any]:
    return {"true_cfg_scale": scale, "negative_prompt": [""] * count}


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    channels = pipe.transformer.config.in_channels // PATCH**2
    shape = latent_shape(pipe, channels, pipe.default_sample_size, height, width)
    return (channels, *(side // PATCH * PATCH for side in shape[1:]))


def to_latents(pipe: Any, states: Tensor) -> Tensor:
    """States (n, c, h, w) as latents of one frame, (n, c, 1, h, w)."""
    mean, deviation = pictures.statistics(pipe, states)
    return states[:, :, None] * deviation + mean


def to_states(pipe: Any, latents: Tensor) -> Tensor:
    """The inverse of ``to_latents``."""
    mean, deviation = pictures.statistics(pipe, latents)
    return ((latents - mean) / deviation)[:, :, 0]


QWEN_IMAGE = Family(
    name="qwen-image",
    pipelines=("QwenImagePipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (QWEN25,), before="txt_norm"),),
    adapters=TEXT_ATTENTION,
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="QwenImageLoraLoaderMixin",
    labels=labelled("qwen-image", "qwen_image"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    schedule=dynamic_schedule(PATCH),
    ordered=True,
    padding="cut",
    guide=guide,
    guided_by=guided_by,
    to_latents=to_latents,
    to_states=to_states,
    decode=pictures.one_frame_decoded,
    view=pictures.one_frame_viewed,
)
