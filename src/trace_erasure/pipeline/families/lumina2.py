"""Lumina 2: one layer behind a norm reads the tokens of Gemma 2, nothing reads a pooled vector; the
network predicts a rectified flow against time.

Its pipeline puts a system prompt before the prompt, but not before the empty prompt of guidance.
Text is rotated by its place and padding is cut off. Guidance keeps the length of every row of the
prediction.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, extrapolated, labelled, latent_shape
from trace_erasure.pipeline.families.flow import TIMESTEPS, shift
from trace_erasure.pipeline.families.reading import Reader
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"time_caption_embed\.caption_embedder\.1")
ATTENTION = Attention(
    modules=re.compile(r"layers\.\d+\.attn"),
    text=re.compile(
        r"context_refiner\.\d+\.(attn\.(to_[qkv]|to_out\.0)|feed_forward\.linear_[123])"
    ),
    image=re.compile(
        r"(noise_refiner|layers)\.\d+\.(attn\.(to_[qkv]|to_out\.0)|feed_forward\.linear_[123])"
    ),
    text_queries_keys=re.compile(r"context_refiner\.\d+\.attn\.to_[qk]"),
    values=TOKEN_MAP,
    joint=True,
)


def read(pipe: Any) -> Reader:
    return Reader(pipe.tokenizer, lambda prompt: f"{pipe.system_prompt} <Prompt Start> {prompt}")


GEMMA2 = TokenSegment(longest=256, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = GEMMA2.length(pipe)
    tokens, mask, _, _ = pipe.encode_prompt(
        prompts, False, device=pipe.device, max_sequence_length=length
    )
    return masked(tokens, mask, length)


def unconditional(pipe: Any) -> Conditioning:
    length = GEMMA2.length(pipe)
    _, _, tokens, mask = pipe.encode_prompt(
        [""], True, device=pipe.device, max_sequence_length=length
    )
    return masked(tokens, mask, length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    return -pipe.transformer(
        hidden_states=states,
        timestep=1 - timesteps.to(states.dtype) / TIMESTEPS,
        encoder_hidden_states=conditioning.tokens,
        encoder_attention_mask=conditioning.heard.long(),
    ).sample


def guide(pipe: Any, unconditional: Tensor, conditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance; every row then gets the length of the conditional one."""
    output = extrapolated(pipe, unconditional, conditional, scale)
    return output * (conditional.norm(dim=-1, keepdim=True) / output.norm(dim=-1, keepdim=True))


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    channels = pipe.transformer.config.in_channels
    return latent_shape(pipe, channels, pipe.default_sample_size, height, width)


def schedule(pipe: Any, steps: int, shape: tuple[int, ...]) -> dict[str, Any]:
    import numpy as np

    # The pipeline takes the number of channels for that of patches.
    counted = (shape[0], 1)
    return {
        "sigmas": np.linspace(1.0, 1 / steps, steps),
        "mu": shift(pipe.scheduler.config, counted, 1, 1.15),
    }


LUMINA_2 = Family(
    name="lumina-2",
    pipelines=("Lumina2Pipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (GEMMA2,), before="time_caption_embed.caption_embedder.0"),),
    adapters=re.compile(r"context_refiner\.\d+\.attn\.to_[kv]"),
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="Lumina2LoraLoaderMixin",
    labels=labelled("lumina-2", "lumina2"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    unconditional=unconditional,
    schedule=schedule,
    ordered=True,
    padding="cut",
    guide=guide,
)
