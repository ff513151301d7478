"""Wan: the first layer of the text embedder reads the tokens of UMT5, nothing reads a pooled
vector; the network predicts a rectified flow of videos.

A picture is a video of one frame. The pipeline puts zeros in the place of padding, which no edit
can turn into a word. Of Wan 2.2 the models with a second network for the late steps are refused: it
has text-facing maps of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families import pictures
from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, labelled
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"condition_embedder\.text_embedder\.linear_1")
CROSS_ATTENTION = re.compile(r"blocks\.\d+\.attn2\.to_[kv]")
ATTENTION = Attention(
    modules=re.compile(r"blocks\.\d+\.attn2"),
    text=re.compile(r"blocks\.\d+\.attn2\.(to_[qkv]|to_out\.0)"),
    image=re.compile(r"blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ffn\.net\.(0\.proj|2))"),
    text_queries_keys=re.compile(r"blocks\.\d+\.attn2\.to_[qk]"),
    values=TOKEN_MAP,
    joint=False,
)
UMT5 = TokenSegment(longest=512)
SIZE = (480, 832)
"""Pixels of the pipeline's own size."""
FRAMES = 1


def refuses(pipe: Any) -> str:
    """Why ``pipe`` cannot be edited, or ""."""
    if getattr(pipe, "transformer_2", None) is None:
        return ""
    return "it has a second network for the late steps, which would keep the concept"


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = UMT5.length(pipe)
    tokens, _ = pipe.encode_prompt(
        prompts,
        do_classifier_free_guidance=False,
        max_sequence_length=length,
        device=pipe.device,
    )
    return masked(tokens, tokens.any(dim=-1), length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    return pipe.transformer(
        hidden_states=states,
        timestep=timesteps,
        encoder_hidden_states=conditioning.tokens * conditioning.heard[..., None],
    ).sample


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    factor = pipe.vae_scale_factor_spatial
    own = getattr(pipe, "default_size", SIZE)
    sides = (side // factor for side in (height or own[0], width or own[1]))
    return (pipe.transformer.config.in_channels, FRAMES, *sides)


def to_latents(pipe: Any, states: Tensor) -> Tensor:
    """States as the latents that the VAE decodes, same shape (n, c, frames, h, w)."""
    mean, deviation = pictures.statistics(pipe, states)
    return states * deviation + mean


def to_states(pipe: Any, latents: Tensor) -> Tensor:
    """The inverse of ``to_latents``."""
    mean, deviation = pictures.statistics(pipe, latents)
    return (latents - mean) / deviation


WAN = Family(
    name="wan",
    pipelines=("WanPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (UMT5,)),),
    adapters=CROSS_ATTENTION,
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="WanLoraLoaderMixin",
    labels=labelled("wan", "wan"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    bidirectional=True,
    padding="zeros",
    options={"num_frames": FRAMES},
    to_latents=to_latents,
    to_states=to_states,
    decode=pictures.one_frame_decoded,
    view=pictures.one_frame_viewed,
    pictures=pictures.first_frames,
    refuses=refuses,
)
