"""Z-Image: one layer behind a norm reads the tokens of Qwen3, nothing reads a pooled vector; the
network predicts a rectified flow against time.

Its pipeline drops a prompt's padding. The network fills up to a multiple of 32 tokens with one of
its own, rotates text by its place, and image patches by the number of text tokens: it tells how
long a prompt is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, unpadded
from trace_erasure.pipeline.families.family import Family, labelled, latent_shape
from trace_erasure.pipeline.families.flow import TIMESTEPS, dynamic_schedule
from trace_erasure.pipeline.families.reading import Reader, chat
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"cap_embedder\.1")
ATTENTION = Attention(
    modules=re.compile(r"layers\.\d+\.attention"),
    text=re.compile(
        r"context_refiner\.\d+\.(attention\.(to_[qkv]|to_out\.0)|feed_forward\.w[123])"
    ),
    image=re.compile(
        r"(noise_refiner|layers)\.\d+\.(attention\.(to_[qkv]|to_out\.0)|feed_forward\.w[123])"
    ),
    text_queries_keys=re.compile(r"context_refiner\.\d+\.attention\.to_[qk]"),
    values=TOKEN_MAP,
    joint=True,
)
PATCH = 2
SIDE = 128
"""Latent pixels of the pipeline's own size."""


def read(pipe: Any) -> Reader:
    return Reader(pipe.tokenizer, chat(pipe.tokenizer, thinking=True))


QWEN3 = TokenSegment(longest=512, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = QWEN3.length(pipe)
    rows, _ = pipe.encode_prompt(
        list(prompts),  # which it changes
        pipe.device,
        do_classifier_free_guidance=False,
        max_sequence_length=length,
    )
    return unpadded(rows, length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    import torch

    outputs = pipe.transformer(
        list(states[:, :, None]),
        (TIMESTEPS - timesteps.to(states.dtype)) / TIMESTEPS,
        list(conditioning.tokens),
        return_dict=False,
    )[0]
    return -torch.stack(outputs)[:, :, 0]


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    side = getattr(pipe, "default_sample_size", SIDE)
    return latent_shape(pipe, pipe.transformer.in_channels, side, height, width)


Z_IMAGE = Family(
    name="z-image",
    pipelines=("ZImagePipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (QWEN3,), before="cap_embedder.0"),),
    adapters=re.compile(r"context_refiner\.\d+\.attention\.to_[kv]"),
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="ZImageLoraLoaderMixin",
    labels=labelled("z-image", "zimage"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    schedule=dynamic_schedule(PATCH),
    ordered=True,
    padding="cut",
    # The pipeline adds its scale times the difference to the guided prediction.
    guided_by=lambda scale, count: {"guidance_scale": scale - 1},
)
