"""Tiny pipelines of every family: the true diffusers classes with random weights, offline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    ChromaPipeline,
    ChromaTransformer2DModel,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2Pipeline,
    Flux2Transformer2DModel,
    Kandinsky5T2IPipeline,
    Kandinsky5Transformer3DModel,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)

from support import tiny_encoders as encoders
from trace_erasure.pipeline.families.sana import instruction
from trace_erasure.testing import (
    NOISE,
    VAE,
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)
from trace_erasure.testing.pipelines import HEADS
from trace_erasure.testing.text_encoders import clip_encoder, t5_encoder
from trace_erasure.testing.tokenizers import clip_tokenizer, t5_tokenizer

POSITIONS = 48
SHIFTED = {**VAE, "shift_factor": 0.06}
WAN_VAE = {
    "base_dim": 8,
    "z_dim": 4,
    "dim_mult": [1, 1],
    "num_res_blocks": 1,
    "temperal_downsample": [True],
    "latents_mean": [0.1, -0.2, 0.3, 0.0],
    "latents_std": [1.5, 0.5, 1.0, 2.0],
}


def assembled(kind: Any, parts: dict[str, Any], scheduler: Any, **others: Any) -> Any:
    """A pipeline of networks in eval mode, which prints no progress."""
    for network in parts.values():
        network.eval()
    pipe = kind(**parts, scheduler=scheduler, **others)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_norms(network: Any) -> Any:
    """``network``, whose norms scale, as trained ones do."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "norm" in name and parameter.ndim == 1:
                parameter.uniform_(0.5, 1.5)
    return network


def z_image(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = encoders.plain_chat_tokenizer(positions)
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
        "text_encoder": encoders.qwen3(tokenizer, width),
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
    tokenizer = encoders.plain_chat_tokenizer(positions, "Describe:")
    network = {
        **HEADS,
        "in_channels": 16,
        "out_channels": 4,
        "num_layers": 2,
        "joint_attention_dim": width,
        "axes_dims_rope": (4, 6, 6),
    }
    parts = {
        "text_encoder": encoders.qwen25_vl(tokenizer, width),
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
    tokenizer = encoders.plain_chat_tokenizer(positions)
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
        "text_encoder": encoders.mistral3(tokenizer, width // 3, 31),
        "vae": vae,
        "transformer": encoders.spread(Flux2Transformer2DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    pipe = assembled(Flux2Pipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_sample_size = 8
    pipe.system_message = "a"
    return pipe


def chroma(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = t5_tokenizer(positions)
    network = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "axes_dims_rope": (4, 6, 6),
        "approximator_num_channels": 16,
        "approximator_hidden_dim": 16,
        "approximator_layers": 1,
    }
    parts = {
        "text_encoder": t5_encoder(tokenizer, width),
        "vae": AutoencoderKL.from_config(SHIFTED),
        "transformer": ChromaTransformer2DModel.from_config(network),
    }
    pipe = assembled(ChromaPipeline, parts, FlowMatchEulerDiscreteScheduler(), tokenizer=tokenizer)
    pipe.default_sample_size = 8
    return pipe


def sana(width: int = 32, positions: int = POSITIONS) -> Any:
    lines = instruction(SanaPipeline.__new__(SanaPipeline))
    tokenizer = encoders.gemma_tokenizer(positions, lines)
    network = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 1,
        "num_cross_attention_heads": 2,
        "cross_attention_head_dim": 8,
        "cross_attention_dim": 16,
        "caption_channels": width,
        "sample_size": 16,  # of pictures of 32 pixels, a multiple of which it asks for
    }
    vae = {
        "latent_channels": 4,
        "encoder_block_types": "ResBlock",
        "decoder_block_types": "ResBlock",
        "encoder_block_out_channels": (8, 8),
        "decoder_block_out_channels": (8, 8),
        "encoder_layers_per_block": (1, 1),
        "decoder_layers_per_block": (1, 1),
        "encoder_qkv_multiscales": ((), ()),
        "decoder_qkv_multiscales": ((), ()),
        "upsample_block_type": "interpolate",
        "downsample_block_type": "stride_conv",
        "scaling_factor": 0.4,
    }
    parts = {
        "text_encoder": encoders.gemma2(tokenizer, width),
        "vae": AutoencoderDC.from_config(vae),
        "transformer": with_norms(SanaTransformer2DModel.from_config(network)),
    }
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return assembled(SanaPipeline, parts, scheduler, tokenizer=tokenizer)


def pixart_sigma(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = t5_tokenizer(positions)
    network = {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "in_channels": 4,
        "out_channels": 8,
        "num_layers": 2,
        "cross_attention_dim": 16,
        "sample_size": 8,
        "caption_channels": width,
    }
    parts = {
        "text_encoder": t5_encoder(tokenizer, width),
        "vae": AutoencoderKL.from_config(VAE),
        "transformer": PixArtTransformer2DModel.from_config(network),
    }
    scheduler = DPMSolverMultistepScheduler(**NOISE)
    return assembled(PixArtSigmaPipeline, parts, scheduler, tokenizer=tokenizer)


def lumina_2(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = encoders.gemma_tokenizer(positions)
    network = {
        "sample_size": 8,
        "in_channels": 4,
        "hidden_size": 32,
        "num_layers": 1,
        "num_refiner_layers": 1,
        "num_attention_heads": 2,
        "num_kv_heads": 2,
        "multiple_of": 8,
        "axes_dim_rope": (4, 6, 6),
        "axes_lens": (64, 64, 64),
        "cap_feat_dim": width,
    }
    vae = {**SHIFTED}
    parts = {
        "text_encoder": encoders.gemma2(tokenizer, width),
        "vae": AutoencoderKL.from_config(vae),
        "transformer": with_norms(Lumina2Transformer2DModel.from_config(network)),
    }
    with torch.no_grad():
        parts["transformer"].time_caption_embed.caption_embedder[0].weight.uniform_(0.5, 1.5)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=6.0)
    pipe = assembled(Lumina2Pipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.system_prompt = "a"
    pipe.vae_scale_factor = 2  # it takes 8 for granted
    return pipe


def aura_flow(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = t5_tokenizer(positions)
    network = {
        **HEADS,
        "sample_size": 8,
        "in_channels": 4,
        "num_mmdit_layers": 1,
        "num_single_dit_layers": 1,
        "joint_attention_dim": width,
        "caption_projection_dim": 32,
        "pos_embed_max_size": 64,
    }
    parts = {
        "text_encoder": encoders.umt5(tokenizer, width),
        "vae": AutoencoderKL.from_config(VAE),
        "transformer": encoders.spread(AuraFlowTransformer2DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=1.73)
    return assembled(AuraFlowPipeline, parts, scheduler, tokenizer=tokenizer)


def wan(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = t5_tokenizer(positions)
    network = {
        **HEADS,
        "in_channels": 4,
        "out_channels": 4,
        "text_dim": width,
        "freq_dim": 16,
        "ffn_dim": 32,
        "num_layers": 1,
        "rope_max_seq_len": 32,
    }
    vae = {**WAN_VAE, "scale_factor_spatial": 2, "scale_factor_temporal": 2}
    parts = {
        "text_encoder": encoders.umt5(tokenizer, width),
        "vae": AutoencoderKLWan.from_config(vae),
        "transformer": encoders.spread(WanTransformer3DModel.from_config(network)),
    }
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    pipe = assembled(WanPipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_size = (16, 16)
    return pipe


def kandinsky_5(width: int = 32, positions: int = POSITIONS) -> Any:
    template = "<|im_start|>Describe:<|im_end|>\n<|im_start|>{}<|im_end|>"
    tokenizer = encoders.plain_chat_tokenizer(positions, "Describe:")
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
        "text_encoder": encoders.qwen25_vl(tokenizer, width),
        "text_encoder_2": clip_encoder(clip, width),
        "vae": AutoencoderKL.from_config(VAE),
        "transformer": encoders.spread(Kandinsky5Transformer3DModel.from_config(network)),
    }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe = assembled(Kandinsky5T2IPipeline, parts, scheduler, tokenizer=tokenizer, tokenizer_2=clip)
    pipe.resolutions, pipe.vae_scale_factor_spatial = [(16, 16)], 2
    pipe.prompt_template, pipe.prompt_template_encode_start_idx = template, 4
    return pipe


BUILDERS: dict[str, Callable[..., Any]] = {
    "stable-diffusion": tiny_stable_diffusion,
    "stable-diffusion-xl": tiny_sdxl,
    "stable-diffusion-3": tiny_sd3,
    "flux": tiny_flux,
    "flux-2": partial(tiny_flux2_klein, width=48),
    "z-image": z_image,
    "qwen-image": qwen_image,
    "flux-2-dev": flux2_dev,
    "chroma": chroma,
    "sana": sana,
    "pixart-sigma": pixart_sigma,
    "lumina-2": lumina_2,
    "aura-flow": aura_flow,
    "wan": wan,
    "kandinsky-5": kandinsky_5,
}
"""A tiny pipeline for each row of the table, by the family's name."""


def tiny(name: str, seed: int = 0, **changes: int) -> Any:
    """The tiny pipeline of a family; the same ``seed`` gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BUILDERS[name](**{"positions": POSITIONS, **changes})
