"""Pipelines of the true classes and the true shapes of published models, with random weights.

Nothing is downloaded: the shapes are those of the models' public configurations. A network that is
too large for a small machine lies on torch's meta device, where layers have shapes and no memory;
only its text-facing maps, all that stage 1 reads, then have weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from torch import nn
from transformers import (
    AutoTokenizer,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
)

from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.testing import NOISE, VAE
from trace_erasure.utils.quiet_libraries import quiet_loading

RANDOM = "random"
"""What rows call models whose weights are random."""
POSITIONS = 77
"""Tokens of a prompt in CLIP, padding included."""
CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "vocab_size": 49408,
}
CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "vocab_size": 49408,
}
T5_XXL = {
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "vocab_size": 32128,
}
# The width of the embeddings is all of an encoder that stage 1 depends on. Two layers of CLIP,
# because two families read the last but one.
SHALLOW_CLIP = {"num_hidden_layers": 2, "intermediate_size": 64}
SHALLOW_T5 = {"num_layers": 1, "num_heads": 1, "d_ff": 64}


@dataclass(frozen=True)
class Size:
    """A published model's shapes.

    Attributes:
        pipeline, network: the classes.
        config: of the network, where it is not the class's default.
        scheduler: of the pipeline.
        clips: class and configuration of each CLIP text encoder.
        t5: tokens of a prompt in T5; 0 where there is none.
        whole: whether the network has weights; else its text-facing maps alone.
        others: further arguments of the pipeline.
    """

    pipeline: Any
    network: Any
    config: dict[str, Any]
    scheduler: Any
    clips: tuple[tuple[Any, dict[str, int]], ...]
    t5: int = 0
    whole: bool = False
    others: dict[str, Any] = field(default_factory=dict)


SIZES = {
    "sd15": Size(
        StableDiffusionPipeline,
        UNet2DConditionModel,
        {"sample_size": 64, "cross_attention_dim": 768},
        DDIMScheduler(**NOISE, clip_sample=False, set_alpha_to_one=False),
        ((CLIPTextModel, CLIP_L),),
        whole=True,
        others={
            "safety_checker": None,
            "feature_extractor": None,
            "requires_safety_checker": False,
        },
    ),
    "sdxl": Size(
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
        {
            "sample_size": 128,
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
            "block_out_channels": [320, 640, 1280],
            "transformer_layers_per_block": [1, 2, 10],
            "attention_head_dim": [5, 10, 20],
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        EulerDiscreteScheduler(**NOISE, timestep_spacing="leading"),
        ((CLIPTextModel, CLIP_L), (CLIPTextModelWithProjection, CLIP_G)),
        others={"add_watermarker": False},
    ),
    "sd3-medium": Size(
        StableDiffusion3Pipeline,
        SD3Transformer2DModel,
        {
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "pos_embed_max_size": 192,
        },
        FlowMatchEulerDiscreteScheduler(shift=3.0),
        ((CLIPTextModelWithProjection, CLIP_L), (CLIPTextModelWithProjection, CLIP_G)),
        t5=256,
    ),
    "flux-dev": Size(
        FluxPipeline,
        FluxTransformer2DModel,
        {"guidance_embeds": True},
        FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        ((CLIPTextModel, CLIP_L),),
        t5=512,
    ),
}


def build(size: Size, seed: int = 0) -> Any:
    """The pipeline on the CPU in float32 and eval mode, with shallow text encoders."""
    torch.manual_seed(seed)
    tokenizers = _tokenizers(size)
    encoders = _encoders(size, tokenizers, SHALLOW_CLIP, SHALLOW_T5)
    with torch.device("cpu" if size.whole else "meta"):
        network = size.network.from_config(size.config)
    pipe = _assemble(size, network, encoders, tokenizers)
    if not size.whole:
        family = family_of(pipe)
        for stream in family.streams:
            for layer in family.linears(pipe, stream.maps).values():
                layer.to_empty(device="cpu").reset_parameters()
    return pipe


def whole(size: Size, device: str, dtype: torch.dtype, seed: int = 0) -> Any:
    """The pipeline with all its weights on ``device``, text encoders of the true depth included."""
    torch.manual_seed(seed)
    tokenizers, before = _tokenizers(size), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network, encoders = size.network.from_config(size.config), _encoders(size, tokenizers)
    finally:
        torch.set_default_dtype(before)
    return _assemble(size, network, encoders, tokenizers).to(device, dtype)


def outline(size: Size) -> Any:
    """The pipeline with text encoders of the true depth and no weights, all on the meta device."""
    tokenizers = _tokenizers(size)
    with torch.device("meta"):
        network, encoders = size.network.from_config(size.config), _encoders(size, tokenizers)
    return _assemble(size, network, encoders, tokenizers)


def _named(stem: str, parts: list[Any]) -> dict[str, Any]:
    """As pipelines call them: ``stem``, ``stem_2``, ``stem_3``."""
    return {stem if i == 1 else f"{stem}_{i}": part for i, part in enumerate(parts, 1)}


def _tokenizers(size: Size) -> dict[str, Any]:
    """The shipped models' tokenizers, with the positions of the published ones."""
    folders = [("emoji-sd/tokenizer", POSITIONS)] * len(size.clips)
    folders += [("emoji-flux/tokenizer_2", size.t5)] * bool(size.t5)
    with quiet_loading():
        found = [
            AutoTokenizer.from_pretrained(shipped.path(folder), model_max_length=positions)
            for folder, positions in folders
        ]
    return _named("tokenizer", found)


def _encoders(
    size: Size,
    tokenizers: dict[str, Any],
    clip: Mapping[str, int] = MappingProxyType({}),
    t5: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, nn.Module]:
    """The text encoders, with ``clip`` and ``t5`` changed in their configurations."""
    ends = {"eos_token_id": tokenizers["tokenizer"].eos_token_id}  # the pooled vector is its own
    found = []
    for kind, config in size.clips:
        settings: dict[str, Any] = {**config, **clip, **ends}
        found.append(kind(CLIPTextConfig(**settings)))
    if size.t5:
        settings = {**T5_XXL, **t5, "feed_forward_proj": "gated-gelu"}
        found.append(T5EncoderModel(T5Config(**settings)))
    return _named("text_encoder", found)


def _assemble(
    size: Size, network: nn.Module, encoders: dict[str, Any], tokenizers: dict[str, Any]
) -> Any:
    vae: Any = AutoencoderKL.from_config(VAE)  # stage 1 does not read it
    for part in (network, vae, *encoders.values()):
        part.eval()
    kind = "unet" if size.network is UNet2DConditionModel else "transformer"
    return size.pipeline(
        vae=vae,
        **{kind: network},
        **encoders,
        **tokenizers,
        scheduler=size.scheduler,
        **size.others,
    )
