"""Stable Diffusion XL: cross-attention reads two text encoders side by side, and the time
embedding reads the pooled vector of the second."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from trace_erasure.pipeline.families.family import (
    POOLED,
    TOKENS,
    Conditioning,
    Family,
    Stream,
    TokenSegment,
    encoded,
    labelled,
)
from trace_erasure.pipeline.families.sd import CROSS_ATTENTION, UNET_ATTENTION, state_shape

if TYPE_CHECKING:
    from torch import Tensor

POOLED_MAP = "add_embedding.linear_1"


def encode(pipe: Any, prompts: list[str]) -> Conditioning:
    return encoded(pipe, prompts)


def unconditional(pipe: Any) -> Conditioning:
    # Zeros or the empty prompt, as the pipeline's force_zeros_for_empty_prompt says.
    _, tokens, _, pooled = pipe.encode_prompt(
        [""], device=pipe.device, do_classifier_free_guidance=True
    )
    return Conditioning(tokens, pooled)


def predict(
    pipe: Any, states: Tensor, timesteps: Tensor, conditioning: Conditioning, _: float
) -> Tensor:
    import torch

    height, width = (side * pipe.vae_scale_factor for side in states.shape[-2:])
    # Original size, crop, target size: as the pipeline has them where nobody asks for others.
    sizes = torch.tensor([height, width, 0, 0, height, width]).to(states)
    return pipe.unet(
        states,
        timesteps,
        encoder_hidden_states=conditioning.tokens,
        added_cond_kwargs={
            "text_embeds": conditioning.pooled,
            "time_ids": sizes.expand(len(states), -1),
        },
    ).sample


STABLE_DIFFUSION_XL = Family(
    name="stable-diffusion-xl",
    pipelines=("StableDiffusionXLPipeline",),
    denoiser="unet",
    streams=(
        Stream(TOKENS, CROSS_ATTENTION, (TokenSegment(),)),
        Stream(POOLED, re.compile(re.escape(POOLED_MAP))),
    ),
    adapters=CROSS_ATTENTION,
    attention=UNET_ATTENTION,
    lora_keys="kohya",
    mixin="StableDiffusionXLLoraLoaderMixin",
    labels=labelled("stable-diffusion-xl-v1-base", "sdxl_base_v1-0"),
    encode=encode,
    predict=predict,
    state_shape=state_shape,
    # Loaders take the spelling of the original code; they mistake the path's last digit.
    kohya_names={POOLED_MAP: "label_emb_0_0"},
    unconditional=unconditional,
)
