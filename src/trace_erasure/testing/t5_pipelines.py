"""Tiny pipelines whose text encoder is T5 or UMT5: Chroma, PixArt-Sigma, AuraFlow, Wan."""

from __future__ import annotations

from typing import Any

from diffusers import (
    AuraFlowPipeline,
    AuraFlowTransformer2DModel,
    AutoencoderKL,
    AutoencoderKLWan,
    ChromaPipeline,
    ChromaTransformer2DModel,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import UMT5EncoderModel

from trace_erasure.testing.language_models import spread
from trace_erasure.testing.parts import POSITIONS, SHIFTED, VAE, WAN_VAE, assembled
from trace_erasure.testing.pipelines import HEADS, NOISE
from trace_erasure.testing.text_encoders import t5_encoder
from trace_erasure.testing.tokenizers import t5_tokenizer


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
        "text_encoder": t5_encoder(tokenizer, width, UMT5EncoderModel),
        "vae": AutoencoderKL.from_config(VAE),
        "transformer": spread(AuraFlowTransformer2DModel.from_config(network)),
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
        "text_encoder": t5_encoder(tokenizer, width, UMT5EncoderModel),
        "vae": AutoencoderKLWan.from_config(vae),
        "transformer": spread(WanTransformer3DModel.from_config(network)),
    }
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    pipe = assembled(WanPipeline, parts, scheduler, tokenizer=tokenizer)
    pipe.default_size = (16, 16)
    return pipe
