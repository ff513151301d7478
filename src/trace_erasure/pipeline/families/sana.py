"""Sana: the first layer of the caption projection reads the tokens of Gemma 2, whose padding is
masked, nothing reads a pooled vector; the network predicts a rectified flow.

Its pipeline puts an instruction before the prompt and hands on the first token and those behind the
instruction. The empty prompt of guidance goes without it.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, labelled
from trace_erasure.pipeline.families.pixart import (
    ATTENTION,
    CROSS_ATTENTION,
    TOKEN_MAP,
    state_shape,
)
from trace_erasure.pipeline.families.reading import Reader
from trace_erasure.pipeline.families.stream import Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor


def instruction(pipe: Any) -> list[str]:
    """What the pipeline puts before a prompt, by its own default."""
    call = inspect.signature(type(pipe).__call__)
    return call.parameters["complex_human_instruction"].default


def read(pipe: Any) -> Reader:
    before = "\n".join(instruction(pipe))
    dropped = len(pipe.tokenizer.encode(before)) - 1  # its last token is handed on
    return Reader(pipe.tokenizer, lambda prompt: before + prompt.lower(), first=1, skipped=dropped)


GEMMA2 = TokenSegment(longest=300, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    return _encoded(pipe, prompts, instruction(pipe))


def unconditional(pipe: Any) -> Conditioning:
    return _encoded(pipe, [""], None)


def _encoded(pipe: Any, prompts: list[str], before: list[str] | None) -> Conditioning:
    length = GEMMA2.length(pipe)
    tokens, mask, _, _ = pipe.encode_prompt(
        prompts,
        False,
        device=pipe.device,
        max_sequence_length=length,
        complex_human_instruction=before,
    )
    return masked(tokens, mask, length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    output = pipe.transformer(
        states,
        encoder_hidden_states=conditioning.tokens,
        timestep=timesteps.to(states.dtype) * pipe.transformer.config.timestep_scale,
    ).sample
    return output[:, : states.shape[1]]


SANA = Family(
    name="sana",
    pipelines=("SanaPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (GEMMA2,)),),
    adapters=CROSS_ATTENTION,
    attention=replace(
        ATTENTION,
        image=re.compile(r"transformer_blocks\.\d+\.attn1\.(to_[qkv]|to_out\.0)"),
    ),
    lora_keys="diffusers",
    mixin="SanaLoraLoaderMixin",
    labels=labelled("sana", "sana"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    unconditional=unconditional,
    padding="cut",
    options={"use_resolution_binning": False},
    view=lambda pipe, pixels: pipe.vae.encode(pixels).latent,
)
