"""FLUX.2: one layer reads the tokens of Qwen3 ([klein]) or Mistral 3 ([dev]), nothing reads a
pooled vector; the network predicts a rectified flow. [klein] base is guided by the empty prompt,
[klein] is distilled without any guidance, and [dev] takes the guidance scale as an input.

A token's embedding is what three layers of the encoder say of it, side by side. The encoder looks
backwards only and sees no padding, but padding looks at the prompt, each position of it from its
own distance, and the network looks at padding: all positions are columns.

Text positions carry rotary ids 0, 1, 2, …, unlike FLUX.1's, so the network sees where a token
stands, and the entry lemma holds position for position only (``Family.ordered``).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.family import (
    TOKENS,
    Conditioning,
    Family,
    Stream,
    TokenSegment,
    labelled,
    latent_shape,
)
from trace_erasure.pipeline.families.flow import (
    JOINT_ATTENTION,
    TEXT_ATTENTION,
    TIMESTEPS,
    TOKEN_MAP,
)
from trace_erasure.pipeline.families.reading import Reader, chat, padded_on_the_right
from trace_erasure.pipeline.families.stream import text_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

PATCH = 2
# FLUX.1's, but for the names of the layers on the image's side.
ATTENTION = replace(
    JOINT_ATTENTION,
    image=re.compile(
        r"transformer_blocks\.\d+\.(attn\.(to_[qkv]|to_out\.0)|ff(_context)?\.linear_(in|out))"
        r"|single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
    ),
)


def read_klein(pipe: Any) -> Reader:
    tokenizer = padded_on_the_right(pipe.tokenizer)
    return Reader(tokenizer, chat(tokenizer, thinking=False))


QWEN3 = TokenSegment(longest=512, reader=read_klein)


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _ = pipe.encode_prompt(
        prompts, device=pipe.device, max_sequence_length=QWEN3.length(pipe)
    )
    return Conditioning(tokens)


def read_dev(pipe: Any) -> Reader:
    from diffusers.pipelines.flux2.pipeline_flux2 import format_input

    tokenizer = text_tokenizer(pipe.tokenizer)

    def wrap(prompt: str) -> str:
        (message,) = format_input([prompt], pipe.system_message)
        return pipe.tokenizer.apply_chat_template(message, tokenize=False)

    left = tokenizer.padding_side == "left"
    return Reader(tokenizer, wrap, multiple=MISTRAL3.length(pipe) if left else 1, special=False)


MISTRAL3 = TokenSegment(longest=512, reader=read_dev)


def encode_dev(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, _ = pipe.encode_prompt(
        prompts, device=pipe.device, max_sequence_length=MISTRAL3.length(pipe)
    )
    return Conditioning(tokens)


def text_positions(count: int) -> Tensor:
    """Position ids (time, row, column, place in the text) of ``count`` tokens, (count, 4)."""
    import torch
    import torch.nn.functional as F

    return F.pad(torch.arange(count)[:, None], (3, 0))


def image_positions(height: int, width: int) -> Tensor:
    """The same of a picture's patches, (height · width, 4)."""
    import torch
    import torch.nn.functional as F

    return F.pad(torch.cartesian_prod(torch.arange(height), torch.arange(width)), (1, 1))


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, guidance: float
) -> Tensor:
    """States are patches (n, 4c, h/2, w/2), which the pipeline moves as rows."""
    shape = states.shape[-2:]
    scale = None
    if pipe.transformer.config.guidance_embeds:
        scale = states.new_full((len(states),), guidance)
    rows = pipe.transformer(
        guidance=scale,
        hidden_states=states.flatten(2).mT,
        timestep=timesteps.to(states.dtype) / TIMESTEPS,
        encoder_hidden_states=conditioning.tokens,
        txt_ids=text_positions(conditioning.tokens.shape[1]).to(states.device),
        img_ids=image_positions(*shape).to(states.device),
    ).sample
    return rows.mT.unflatten(2, shape)


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    channels = pipe.transformer.config.in_channels
    _, *sides = latent_shape(pipe, channels, pipe.default_sample_size, height, width)
    return (channels, *(side // PATCH for side in sides))


def schedule(pipe: Any, steps: int, shape: tuple[int, ...]) -> dict[str, Any]:
    # Here, because it loads the code of language models, which no other family needs.
    import numpy as np
    from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

    return {
        "sigmas": np.linspace(1.0, 1 / steps, steps),
        "mu": compute_empirical_mu(image_seq_len=shape[-2] * shape[-1], num_steps=steps),
    }


def statistics(pipe: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the VAE's patches, by which states are normalised."""
    norm = pipe.vae.bn
    deviation = (norm.running_var + pipe.vae.config.batch_norm_eps).sqrt()
    mean, deviation = (x.view(-1, 1, 1).to(like) for x in (norm.running_mean, deviation))
    return mean, deviation


def to_latents(pipe: Any, states: Tensor) -> Tensor:
    """States (n, 4c, h/2, w/2) as latents (n, c, h, w)."""
    import torch.nn.functional as F

    mean, deviation = statistics(pipe, states)
    return F.pixel_shuffle(states * deviation + mean, PATCH)


def to_states(pipe: Any, latents: Tensor) -> Tensor:
    """The inverse of ``to_latents``."""
    import torch.nn.functional as F

    mean, deviation = statistics(pipe, latents)
    return (F.pixel_unshuffle(latents, PATCH) - mean) / deviation


FLUX_2 = Family(
    name="flux-2",
    pipelines=("Flux2KleinPipeline",),
    denoiser="transformer",
    streams=(Stream(TOKENS, TOKEN_MAP, (QWEN3,)),),
    adapters=TEXT_ATTENTION,
    attention=ATTENTION,
    lora_keys="diffusers",
    mixin="Flux2LoraLoaderMixin",
    labels=labelled("flux-2-klein", "flux2"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    distilled=lambda pipe: pipe.config.is_distilled,
    schedule=schedule,
    ordered=True,
    to_latents=to_latents,
    to_states=to_states,
)

FLUX_2_DEV = replace(
    FLUX_2,
    name="flux-2-dev",
    pipelines=("Flux2Pipeline",),
    streams=(Stream(TOKENS, TOKEN_MAP, (MISTRAL3,)),),
    labels=labelled("flux-2-dev", "flux2"),
    encode=encode_dev,
    distilled=lambda pipe: True,
)
