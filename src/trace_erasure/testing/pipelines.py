"""Tiny random pipelines of every family, built offline in a fraction of a second."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModelWithProjection

from trace_erasure.errors import InputError
from trace_erasure.testing.parts import VAE, assembled
from trace_erasure.testing.text_encoders import clip_encoder, qwen3_encoder, t5_encoder
from trace_erasure.testing.tokenizers import chat_tokenizer, clip_tokenizer, t5_tokenizer

PREDICTIONS = ("epsilon", "v_prediction", "sample")
WIDTH = 32
UNET = {
    "sample_size": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}
NOISE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}
HEADS = {"num_attention_heads": 2, "attention_head_dim": 16}


def tiny_stable_diffusion(
    prediction: str = "epsilon", seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> StableDiffusionPipeline:
    """A ``StableDiffusionPipeline`` with random weights, on the CPU, in float32 and eval mode.

    Images are 16x16 pixels, states 4x8x8. The same ``seed`` gives the
    same weights, and torch's global generator is left as it was.

    Args:
        prediction: what the network predicts, one of ``epsilon``, ``v_prediction``, ``sample``.
        seed: seed of the weights.
        width: of the token embeddings; an exact edit needs a few times ``positions``.
        positions: tokens in a prompt, padding included.

    Raises:
        InputError: for another prediction type.
    """
    if prediction not in PREDICTIONS:
        raise InputError(
            f"unknown prediction type {prediction!r}. Choose one of: {', '.join(PREDICTIONS)}."
        )
    tokenizer = clip_tokenizer(positions)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": clip_encoder(tokenizer, width),
            "vae": AutoencoderKL.from_config(VAE),
            "unet": UNet2DConditionModel.from_config({**UNET, "cross_attention_dim": width}),
        }
    scheduler = DDIMScheduler(
        **NOISE, clip_sample=False, set_alpha_to_one=False, prediction_type=prediction
    )
    return assembled(
        StableDiffusionPipeline, parts, scheduler, tokenizer=tokenizer,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def tiny_sdxl(
    seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> StableDiffusionXLPipeline:
    """A ``StableDiffusionXLPipeline`` like ``tiny_stable_diffusion``.

    ``width`` is that of both text encoders side by side; the pooled vector has half of it.
    """
    tokenizers = clip_tokenizer(positions), clip_tokenizer(positions, padding="!")
    half, sizes = width // 2, 8
    unet = {
        **UNET,
        "cross_attention_dim": width,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": sizes,
        "projection_class_embeddings_input_dim": half + 6 * sizes,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": clip_encoder(tokenizers[0], half),
            "text_encoder_2": clip_encoder(tokenizers[1], half, CLIPTextModelWithProjection),
            "vae": AutoencoderKL.from_config(VAE),
            "unet": UNet2DConditionModel.from_config(unet),
        }
    scheduler = EulerDiscreteScheduler(**NOISE, timestep_spacing="leading")
    return assembled(
        StableDiffusionXLPipeline, parts, scheduler,
        tokenizer=tokenizers[0], tokenizer_2=tokenizers[1], add_watermarker=False,
    )  # fmt: skip


def tiny_sd3(seed: int = 0, *, width: int = WIDTH, positions: int = 77) -> StableDiffusion3Pipeline:
    """A ``StableDiffusion3Pipeline`` like ``tiny_stable_diffusion``, with a static shift of 3.

    A prompt has ``positions`` tokens of CLIP and as many of T5 (call the pipeline with
    ``max_sequence_length=positions``); ``width`` is T5's and that of both CLIP encoders together.
    """
    clip = clip_tokenizer(positions), clip_tokenizer(positions, padding="!")
    t5 = t5_tokenizer(positions)
    transformer = {
        **HEADS,
        "sample_size": 8,
        "patch_size": 2,
        "in_channels": 4,
        "out_channels": 4,
        "num_layers": 2,
        "joint_attention_dim": width,
        "caption_projection_dim": 32,
        "pooled_projection_dim": width,
        "pos_embed_max_size": 16,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": clip_encoder(clip[0], width // 2, CLIPTextModelWithProjection),
            "text_encoder_2": clip_encoder(clip[1], width // 2, CLIPTextModelWithProjection),
            "text_encoder_3": t5_encoder(t5, width),
            "vae": AutoencoderKL.from_config({**VAE, "shift_factor": 0.06}),
            "transformer": SD3Transformer2DModel.from_config(transformer),
        }
    return assembled(
        StableDiffusion3Pipeline, parts, FlowMatchEulerDiscreteScheduler(shift=3.0),
        tokenizer=clip[0], tokenizer_2=clip[1], tokenizer_3=t5,
    )  # fmt: skip


def tiny_flux(
    guidance_embeds: bool = True, seed: int = 0, *, width: int = WIDTH, positions: int = 77
) -> FluxPipeline:
    """A ``FluxPipeline`` like ``tiny_stable_diffusion``.

    With ``guidance_embeds`` it is like FLUX.1 [dev], guidance an input and a schedule that shifts
    with the image's size; without like FLUX.1 [schnell]. ``positions`` counts T5's tokens (call
    the pipeline with ``max_sequence_length=positions``); ``width`` is T5's and CLIP's.
    """
    clip, t5 = clip_tokenizer(positions), t5_tokenizer(positions)
    transformer = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "pooled_projection_dim": width,
        "guidance_embeds": guidance_embeds,
        "axes_dims_rope": (4, 6, 6),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = {
            "text_encoder": clip_encoder(clip, width),
            "text_encoder_2": t5_encoder(t5, width),
            "vae": AutoencoderKL.from_config({**VAE, "shift_factor": 0.06}),
            "transformer": FluxTransformer2DModel.from_config(transformer),
        }
    shift: dict[str, Any] = {"shift": 3.0, "use_dynamic_shifting": True}
    if not guidance_embeds:
        shift = {"shift": 1.0}
    pipe = assembled(
        FluxPipeline, parts, FlowMatchEulerDiscreteScheduler(**shift),
        tokenizer=clip, tokenizer_2=t5,
    )  # fmt: skip
    pipe.default_sample_size = 8  # the pipeline's own is that of an image of a megapixel
    return pipe


def tiny_flux2_klein(
    is_distilled: bool = False, seed: int = 0, *, width: int = 48, positions: int = 77
) -> Flux2KleinPipeline:
    """A ``Flux2KleinPipeline`` like ``tiny_stable_diffusion``, with states 16x4x4.

    Like FLUX.2 [klein] base, guided by the empty prompt, or, with ``is_distilled``, unguided.
    ``positions`` counts the tokens of a prompt in its chat template, which has 14 of its own (call
    the pipeline with ``max_sequence_length=positions``). ``width`` is that of three layers of the
    encoder side by side, a multiple of 24.
    """
    tokenizer = chat_tokenizer(positions)
    transformer = {
        **HEADS,
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 1,
        "joint_attention_dim": width,
        "timestep_guidance_channels": 16,
        "guidance_embeds": False,
        "axes_dims_rope": (4, 4, 4, 4),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae: Any = AutoencoderKLFlux2.from_config(VAE)
        vae.bn.running_mean.normal_()
        vae.bn.running_var.uniform_(0.5, 2.0)
        parts = {
            "text_encoder": qwen3_encoder(tokenizer, width // 3),
            "vae": vae,
            "transformer": Flux2Transformer2DModel.from_config(transformer),
        }
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    pipe = assembled(
        Flux2KleinPipeline, parts, scheduler, tokenizer=tokenizer, is_distilled=is_distilled
    )
    pipe.default_sample_size = 8  # as for FLUX.1
    return pipe
