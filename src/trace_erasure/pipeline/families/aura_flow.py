"""AuraFlow: one layer without a bias reads the tokens of UMT5, nothing reads a pooled vector; the
network predicts a rectified flow.

Its pipeline puts zeros in the place of padding, which no edit can turn into a word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import TOKENS, Conditioning, masked
from trace_erasure.pipeline.families.family import Family, labelled
from trace_erasure.pipeline.families.flow import TIMESTEPS, TOKEN_MAP
from trace_erasure.pipeline.families.pixart import state_shape
from trace_erasure.pipeline.families.stream import Attention, Stream, TokenSegment

if TYPE_CHECKING:
    from torch import Tensor

UMT5 = TokenSegment(longest=256)
TEXT_ATTENTION = re.compile(r"joint_transformer_blocks\.\d+\.attn\.add_[kv]_proj")
ATTENTION = Attention(
    modules=re.compile(r"joint_transformer_blocks\.\d+\.attn"),
    text=re.compile(r"joint_transformer_blocks\.\d+\.attn\.(add_[qkv]_proj|to_add_out)"),
    image=re.compile(
        r"(joint|single)_transformer_blocks\.\d+"
        r"\.(attn\.(to_[qkv]|to_out\.0)|ff(_context)?\.(linear_[12]|out_projection))"
    ),
    text_queries_keys=re.compile(r"joint_transformer_blocks\.\d+\.attn\.add_[qk]_proj"),
    values=TOKEN_MAP,
    joint=True,
)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = UMT5.length(pipe)
    tokens, mask, _, _ = pipe.encode_prompt(
        prompts,
        do_classifier_free_guidance=False,
        device=pipe.device,
        max_sequence_length=length,
    )
    # The pipeline's mask has a number for each of the embedding's.
    return masked(tokens, mask.view(tokens.shape)[..., 0], length)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    return pipe.transformer(
        states,
        encoder_hidden_states=conditioning.tokens * conditioning.heard[..., None],
        timestep=timesteps.to(states.dtype) / TIMESTEPS,
    ).sample


AURA_FLOW = Family(
    name="aura-flow",
    pipelines=("AuraFlowPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (UMT5,)),),
    adapters=TEXT_ATTENTION,
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="AuraFlowLoraLoaderMixin",
    labels=labelled("aura-flow", "auraflow"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    bidirectional=True,
    padding="zeros",
)
