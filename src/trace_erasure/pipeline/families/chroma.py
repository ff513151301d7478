"""Chroma: FLUX.1 without a pooled path; one layer reads the tokens of T5, and the network predicts
a rectified flow, guided by the empty prompt.

The pipeline hands the network a mask of ones and zeros that attention adds to its scores. Padding
is heard, a little less than words, so that the network tells how long a prompt is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning
from trace_erasure.pipeline.families.family import Family, labelled
from trace_erasure.pipeline.families.flow import (
    JOINT_ATTENTION,
    TEXT_ATTENTION,
    TIMESTEPS,
    TOKEN_MAP,
    dynamic_schedule,
)
from trace_erasure.pipeline.families.flux import PATCH, pack, patch_positions, state_shape, unpack
from trace_erasure.pipeline.families.stream import Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

T5 = TokenSegment(longest=512)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _, mask, *_ = pipe.encode_prompt(
        prompts,
        device=pipe.device,
        do_classifier_free_guidance=False,
        max_sequence_length=T5.length(pipe),
    )
    return Conditioning(tokens, lengths=mask.sum(dim=1).long())


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    """States are latents (n, c, h, w), as FLUX.1's."""
    import torch

    height, width = states.shape[-2:]
    rows = pack(states)
    scores = conditioning.heard.to(states.dtype)
    output = pipe.transformer(
        hidden_states=rows,
        timestep=timesteps.to(states.dtype) / TIMESTEPS,
        encoder_hidden_states=conditioning.tokens,
        txt_ids=states.new_zeros(conditioning.tokens.shape[1], 3),
        img_ids=patch_positions(states),
        attention_mask=torch.cat([scores, torch.ones_like(rows[..., 0])], dim=1),
    ).sample
    return unpack(output, height, width)


CHROMA = Family(
    name="chroma",
    pipelines=("ChromaPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (T5,)),),
    adapters=TEXT_ATTENTION,
    attention=JOINT_ATTENTION,
    lora_keys="diffusers",
    mixin="FluxLoraLoaderMixin",
    labels=labelled("chroma", "chroma"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    bidirectional=True,
    padding="weighed",
    schedule=dynamic_schedule(PATCH),
)
