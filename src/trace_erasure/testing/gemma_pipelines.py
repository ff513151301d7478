"""Tiny pipelines whose text encoder is Gemma 2: Sana, Lumina 2."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    SanaPipeline,
    SanaTransformer2DModel,
)

from trace_erasure.pipeline.families.sana import instruction
from trace_erasure.testing.language_models import gemma2, gemma_tokenizer
from trace_erasure.testing.parts import POSITIONS, SHIFTED, assembled, with_norms


def sana(width: int = 32, positions: int = POSITIONS) -> Any:
    lines = instruction(SanaPipeline.__new__(SanaPipeline))
    tokenizer = gemma_tokenizer(positions, lines)
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
        "text_encoder": gemma2(tokenizer, width),
        "vae": AutoencoderDC.from_config(vae),
        "transformer": with_norms(SanaTransformer2DModel.from_config(network)),
    }
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return assembled(SanaPipeline, parts, scheduler, tokenizer=tokenizer)


def lumina_2(width: int = 32, positions: int = POSITIONS) -> Any:
    tokenizer = gemma_tokenizer(positions)
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
        "text_encoder": gemma2(tokenizer, width),
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
