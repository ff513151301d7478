"""PixArt-Sigma: the first layer of the caption projection reads the tokens of T5, whose padding is
masked, nothing reads a pooled vector; the network predicts noise, and a variance that is not used.

diffusers gives these pipelines no LoRA loader: an erasure is passed on as a merged checkpoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, labelled, latent_shape
from trace_erasure.pipeline.families.reading import Reader
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"caption_projection\.linear_1")
CROSS_ATTENTION = re.compile(r"transformer_blocks\.\d+\.attn2\.to_[kv]")
ATTENTION = Attention(
    modules=re.compile(r"transformer_blocks\.\d+\.attn2"),
    text=re.compile(r"transformer_blocks\.\d+\.attn2\.(to_[qkv]|to_out\.0)"),
    image=re.compile(
        r"transformer_blocks\.\d+\.(attn1\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2))"
    ),
    text_queries_keys=re.compile(r"transformer_blocks\.\d+\.attn2\.to_[qk]"),
    values=TOKEN_MAP,
    joint=False,
)


def read(pipe: Any) -> Reader:
    return Reader(pipe.tokenizer, str.lower)


T5 = TokenSegment(longest=300, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = T5.length(pipe)
    tokens, mask, _, _ = pipe.encode_prompt(
        prompts, False, device=pipe.device, max_sequence_length=length
    )
    return masked(tokens, mask, length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    output = pipe.transformer(
        states,
        encoder_hidden_states=conditioning.tokens,
        timestep=timesteps,
        added_cond_kwargs={"resolution": None, "aspect_ratio": None},
    ).sample
    return output[:, : states.shape[1]]


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    config = pipe.transformer.config
    return latent_shape(pipe, config.in_channels, config.sample_size, height, width)


PIXART_SIGMA = Family(
    name="pixart-sigma",
    pipelines=("PixArtSigmaPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (T5,)),),
    adapters=CROSS_ATTENTION,
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="",
    labels=labelled("pixart-sigma", "pixart_sigma"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    bidirectional=True,
    padding="cut",
    options={"clean_caption": False, "use_resolution_binning": False},
)
