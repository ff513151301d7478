"""Tiny pipelines whose text encoder is a chat model: Z-Image, Qwen-Image, FLUX.2 [dev] and
Kandinsky 5."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    Kandinsky5T2IPipeline,
    Kandinsky5Transformer3DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)

from trace_erasure.testing.language_models import (
    mistral3,
    plain_chat_tokenizer,
    qwen3,
    qwen25_vl,
    spread,
)
from trace_erasure.testing.parts import POSITIONS, SHIFTED, VAE, WAN_VAE, assembled, with_norms
from trace_erasure.testing.pipelines import HEADS
from trace_erasure.testing.text_encoders import clip_encoder
from trace_erasure.testing.tokenizers import clip_tokenizer


def z_image(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = plain_chat_tokenizer(positions)
    network = {
        "in_channels": 4,
        "dim": 32,
        "n_layers": 1,
        "n_refiner_layers": 1,
        "n_heads": 2,
        "n_kv_heads": 2,
        "cap_feat_dim": width,
        "axes_dims": [4, 6, 6],
        "axes_lens": [512, 64, 64],
    }
    parts = {
        "text_encoder": qwen3(tokenizer, width),
        "vae": AutoencoderKL.from_config(SHIFTED),
        "transformer": with_norms(ZImageTransformer2DModel.from_config(network)),
    }
    with torch.no_grad():
        parts["transformer"].cap_embedder[0].weight.uniform_(0.5, 1.5)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = assembled(ZImagePipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_sample_size = 8
    return pipe


def qwen_image(width: int = 32, positions: int = POSITIONS) -> Any:
    template = "<|im_start|>Describe:<|im_end|>\n<|im_start|>{}<|im_end|>\n"
    tokenizer = plain_chat_tokenizer(positions, "Describe:")
    network = {
        **HEADS,
        "in_channels": 16,
        "out_channels": 4,
        "num_layers": 2,
        "joint_attention_dim": width,
        "axes_dims_rope": (4, 6, 6),
    }
    parts = {
        "text_encoder": qwen25_vl(tokenizer, width),
        "vae": AutoencoderKLQwenImage.from_config(WAN_VAE),
        "transformer": with_norms(QwenImageTransformer2DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    pipe = assembled(QwenImagePipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_sample_size = 8
    pipe.prompt_template_encode = template
    pipe.prompt_template_encode_start_idx = 4
    return pipe


def flux2_dev(width: int = 48, positions: int = POSITIONS) -> Any:
    tokenizer = plain_chat_tokenizer(positions)
    tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.content[0].text }}<|im_end|>{% endfor %}"
    )
    network = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "timestep_guidance_channels": 16,
        "guidance_embeds": True,
        "axes_dims_rope": (4, 4, 4, 4),
    }
    vae: Any = AutoencoderKLFlux2.from_config(VAE)
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2.0)
    parts = {
        "text_encoder": mistral3(tokenizer, width // 3, 31),
        "vae": vae,
        "transformer": spread(Flux2Transformer2DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    pipe = assembled(Flux2Pipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_sample_size = 8
    pipe.system_message = "a"
    return pipe


def kandinsky_5(width: int = 32, positions: int = POSITIONS) -> Any:
    template = "<|im_start|>Describe:<|im_end|>\n<|im_start|>{}<|im_end|>"
    tokenizer = plain_chat_tokenizer(positions, "Describe:")
    clip = clip_tokenizer(77)  # as many as the pipeline asks for
    network = {
        "in_visual_dim": 4,
        "out_visual_dim": 4,
        "in_text_dim": width,
        "in_text_dim2": width,
        "time_dim": 32,
        "model_dim": 32,
        "ff_dim": 32,
        "num_text_blocks": 1,
        "num_visual_blocks": 1,
        "axes_dims": (4, 6, 6),
    }
    parts = {
        "text_encoder": qwen25_vl(tokenizer, width),
        "text_encoder_2": clip_encoder(clip, width),
        "vae": AutoencoderKL.from_config(VAE),
        "transformer": spread(Kandinsky5Transformer3DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = assembled(Kandinsky5T2IPipeline, parts, scheduler, tokenizer=tokenizer, tokenizer_2=clip)
    pipe.resolutions, pipe.vae_scale_factor_spatial = [(16, 16)], 2
    pipe.prompt_template, pipe.prompt_template_encode_start_idx = template, 4
    return pipe
