"""FLUX.1: one layer reads the tokens of T5, one reads the pooled CLIP vector; the network predicts
a rectified flow, with guidance built in (dev) or without any (schnell)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.family import (
    Conditioning,
    Family,
    TokenSegment,
    labelled,
    latent_shape,
)
from trace_erasure.pipeline.families.flow import (
    JOINT_ATTENTION,
    TEXT_ATTENTION,
    TIMESTEPS,
    dynamic_schedule,
    streams,
)

if TYPE_CHECKING:
    from torch import Tensor

T5 = TokenSegment("tokenizer_2", longest=512)
PATCH = 2


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    tokens, pooled, _ = pipe.encode_prompt(
        prompts, None, device=pipe.device, max_sequence_length=T5.length(pipe)
    )
    return Conditioning(tokens, pooled)


def pack(latents: Tensor) -> Tensor:
    """Latents (n, c, h, w) as the network reads them: (n, h/2 · w/2, 4c), a row each 2x2 patch."""
    import torch.nn.functional as F

    return F.pixel_unshuffle(latents, PATCH).flatten(2).mT


def unpack(rows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of ``pack`` for latents of ``height`` x ``width``."""
    import torch.nn.functional as F

    return F.pixel_shuffle(rows.mT.unflatten(2, (height // PATCH, width // PATCH)), PATCH)


def patch_positions(states: Tensor) -> Tensor:
    """Position ids (0, row, column) of the patches of ``states``, (h/2 · w/2, 3)."""
    import torch
    import torch.nn.functional as F

    rows, columns = (torch.arange(side // PATCH) for side in states.shape[-2:])
    return F.pad(torch.cartesian_prod(rows, columns), (1, 0)).to(states)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, guidance: float
) -> Tensor:
    """States are latents (n, c, h, w): the sampler moves every number by itself, so that it makes
    no difference whether they are packed, and unpacked ones know their height and width."""
    import torch

    height, width = states.shape[-2:]
    network = pipe.transformer
    scale = None
    if network.config.guidance_embeds:
        scale = torch.full((len(states),), guidance, device=states.device)
    output = network(
        hidden_states=pack(states),
        timestep=timesteps.to(states.dtype) / TIMESTEPS,
        guidance=scale,
        pooled_projections=conditioning.pooled,
        encoder_hidden_states=conditioning.tokens,
        txt_ids=states.new_zeros(conditioning.tokens.shape[1], 3),
        img_ids=patch_positions(states),
    ).sample
    return unpack(output, height, width)


def state_shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
    channels = pipe.transformer.config.in_channels // PATCH**2
    shape = latent_shape(pipe, channels, pipe.default_sample_size, height, width)
    return (channels, *(side // PATCH * PATCH for side in shape[1:]))


FLUX = Family(
    name="flux",
    pipelines=("FluxPipeline",),
    denoiser="transformer",
    streams=streams(T5),
    adapters=TEXT_ATTENTION,
    attention=JOINT_ATTENTION,
    lora_keys="diffusers",
    mixin="FluxLoraLoaderMixin",
    labels=labelled("flux-1", "flux1"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    flow=True,
    bidirectional=True,
    distilled=lambda pipe: True,
    schedule=dynamic_schedule(PATCH),
)
