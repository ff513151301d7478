"""Tiny random pipelines, built offline in a fraction of a second: for our tests and for yours.

They are real diffusers pipelines (same classes, same layer names, same schedulers) whose weights
are random, so they show whether code works, never whether an image is any good.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from trace_erasure.errors import InputError

PREDICTIONS = ("epsilon", "v_prediction", "sample")
WORDS = (
    "a",
    "an",
    "the",
    "of",
    "in",
    "by",
    "and",
    "photo",
    "painting",
    "style",
    "fox",
    "dog",
    "red",
    "horse",
)
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WIDTH = 32
VAE = {
    "down_block_types": ["DownEncoderBlock2D"] * 2,
    "up_block_types": ["UpDecoderBlock2D"] * 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "latent_channels": 4,
    "sample_size": 16,
}
UNET = {
    "sample_size": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "attention_head_dim": 4,
}


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
    tokenizer: Any = _tokenizer(positions)  # transformers' hints say that its ids may be text
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=width,
                intermediate_size=2 * width,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=tokenizer.model_max_length,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        )
        vae: Any = AutoencoderKL.from_config(VAE)
        unet: Any = UNet2DConditionModel.from_config({**UNET, "cross_attention_dim": width})
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )
    components: dict[str, Any] = {
        "vae": vae.eval(),
        "text_encoder": text_encoder.eval(),
        "tokenizer": tokenizer,
        "unet": unet.eval(),
        "scheduler": scheduler,
        "safety_checker": None,
        "feature_extractor": None,
    }
    pipe = StableDiffusionPipeline(**components, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _tokenizer(positions: int) -> CLIPTokenizer:
    """A CLIP tokenizer: one token for each of ``WORDS``, one a byte for everything else."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        first, *rest = [*word[:-1], word[-1] + "</w>"]
        for symbol in rest:
            if (first, symbol) not in merges:
                merges.append((first, symbol))
                tokens.append(first + symbol)
            first += symbol
    tokens += [BOS, EOS]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    parts: dict[str, Any] = {"vocab": vocabulary, "merges": merges}
    return CLIPTokenizer(**parts, model_max_length=positions)
