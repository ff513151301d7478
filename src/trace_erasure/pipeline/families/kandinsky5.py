"""Kandinsky 5 for pictures: one layer reads the tokens of Qwen2.5-VL, one the pooled CLIP vector;
the network predicts a rectified flow of videos.

A picture is a video of one frame, whose channels come last. Text is rotated by its place and passes
blocks of its own before the image attends to it. Padding is cut off; a call of the pipeline with
prompts of several lengths keeps it, and draws other pictures than with each prompt alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.conditioning import POOLED, TOKENS, Conditioning, unpadded
from trace_erasure.pipeline.families.family import Family, labelled
from trace_erasure.pipeline.families.reading import Reader, padded_on_the_right
from trace_erasure.pipeline.families.stream import (
    Attention,
    Stream,
    TokenSegment,
    text_tokenizer,
)

if TYPE_CHECKING:
    from torch import Tensor

TOKEN_MAP = re.compile(r"text_embeddings\.in_layer")
POOLED_MAP = re.compile(r"pooled_text_embeddings\.in_layer")
SELF = r"(self_attention\.(to_(query|key|value)|out_layer)|feed_forward\.(in|out)_layer)"
CROSS = r"visual_transformer_blocks\.\d+\.cross_attention"
ATTENTION = Attention(
    modules=re.compile(CROSS),
    text=re.compile(
        rf"text_transformer_blocks\.\d+\.{SELF}|{CROSS}\.(to_(query|key|value)|out_layer)"
    ),
    image=re.compile(rf"visual_transformer_blocks\.\d+\.{SELF}"),
    text_queries_keys=re.compile(r"text_transformer_blocks\.\d+\.self_attention\.to_(query|key)"),
    values=TOKEN_MAP,
    # The image attends to what the text's own blocks make of the prompt, at every noise level.
    joint=True,
)
PATCH = 2


def read(pipe: Any) -> Reader:
    tokenizer = padded_on_the_right(text_tokenizer(pipe.tokenizer))
    return Reader(
        tokenizer, pipe.prompt_template.format, skipped=pipe.prompt_template_encode_start_idx
    )


QWEN25 = TokenSegment(longest=512, reader=read)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    length = QWEN25.length(pipe)
    tokens, pooled, ends = pipe.encode_prompt(
        prompts, max_sequence_length=length, device=pipe.device
    )
    rows = [row[:own] for row, own in zip(tokens, ends.diff().tolist(), strict=True)]
    return unpadded(rows, length, pooled)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    """States are videos of one frame, (n, 1, h, w, c). Prompts of one length run together."""
    import torch

    lengths = conditioning.lengths
    assert lengths is not None and conditioning.pooled is not None
    places = [torch.arange(side, device=states.device) for side in _patches(states)]
    times = timesteps.to(states.dtype).expand(len(states))
    output = torch.empty_like(states)
    for length in lengths.unique().tolist():
        own = (lengths == length).nonzero()[:, 0]
        output = output.index_copy(
            0,
            own,
            pipe.transformer(
                hidden_states=states[own],
                encoder_hidden_states=conditioning.tokens[own, :length],
                pooled_projections=conditioning.pooled[own],
                timestep=times[own],
                visual_rope_pos=places,
                text_rope_pos=torch.arange(length, device=states.device),
            ).sample,
        )
    return output


def _patches(states: Tensor) -> tuple[int, int, int]:
    """Frames, and patches along both sides."""
    return 1, states.shape[2] // PATCH, states.shape[3] // PATCH


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    factor, own = pipe.vae_scale_factor_spatial, pipe.resolutions[0]
    sides = (side // factor // PATCH * PATCH for side in (height or own[1], width or own[0]))
    return (1, *sides, pipe.transformer.config.in_visual_dim)


def to_latents(pipe: Any, states: Tensor) -> Tensor:
    """States as the latents (n, c, h, w) that the VAE decodes. The pipeline shifts none."""
    return states[:, 0].movedim(-1, 1) / pipe.vae.config.scaling_factor


def to_states(pipe: Any, latents: Tensor) -> Tensor:
    """The inverse of ``to_latents``."""
    return (latents * pipe.vae.config.scaling_factor).movedim(1, -1)[:, None]


KANDINSKY_5 = Family(
    name="kandinsky-5",
    pipelines=("Kandinsky5T2IPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (QWEN25,)), Stream(POOLED, POOLED_MAP)),
    adapters=re.compile(rf"{CROSS}\.to_(key|value)"),
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="KandinskyLoraLoaderMixin",
    labels=labelled("kandinsky-5", "kandinsky5"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    ordered=True,
    padding="cut",
    to_latents=to_latents,
    to_states=to_states,
    pictures=lambda answer: list(answer.image),
)
