"""Trains emoji-sd: a UNet and its CLIP text tower, jointly, on cached latents.

Usage: python training/unet.py DATA OUT [MINUTES]
Needs OUT/vae and DATA/latents.npy from vae.py. Resumes from OUT/unet.ckpt; writes OUT/emoji-sd.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from loop import Training
from text import MAX_LENGTH, read_scenes, train_tokenizer
from trace_erasure.world import caption

BATCH = 32
WIDTH = 256
MIN_SNR_GAMMA = 5.0
CAPTION_DROPOUT = 0.1


def build_scheduler() -> DDIMScheduler:
    # Linear betas leave no signal at the last step, so white grounds come out white.
    return DDIMScheduler(
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule="linear",
        clip_sample=False,
        set_alpha_to_one=False,
        timestep_spacing="trailing",
        prediction_type="epsilon",
    )


def build_text_encoder(
    tokenizer: CLIPTokenizer, width: int = WIDTH, layers: int = 3
) -> CLIPTextModel:
    special: dict[str, Any] = {
        name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=MAX_LENGTH,
        **special,
    )
    return CLIPTextModel(config)


def build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=6,
        out_channels=6,
        block_out_channels=(64, 128, 192),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class Captions:
    """Token ids for scenes: a fresh wording every time, dropped to the empty prompt sometimes."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        self.tokenizer = tokenizer
        self.cache: dict[str, list[int]] = {}

    def __call__(self, texts: list[str]) -> torch.Tensor:
        for text in {text for text in texts if text not in self.cache}:
            self.cache[text] = self.tokenizer(
                text, padding="max_length", truncation=True, max_length=MAX_LENGTH
            ).input_ids
        return torch.tensor([self.cache[text] for text in texts])


SCHEDULER: Any = build_scheduler()  # its methods are annotated with tensor types of old
SNR = SCHEDULER.alphas_cumprod / (1 - SCHEDULER.alphas_cumprod)


def denoising_loss(
    model: nn.ModuleDict,
    tokens: torch.Tensor,
    x0: torch.Tensor,
    generator: torch.Generator,
    places: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """Squared error of the predicted noise at random timesteps, with min-SNR weights.

    ``tokens`` are (n, positions) ids of the captions, ``x0`` (n, 6, 16, 16) clean latents;
    ``places`` weighs the latent places, (1, 1, 16, 16).
    """
    noise = torch.randn(x0.shape, generator=generator)
    t = torch.randint(1000, (len(x0),), generator=generator)
    with torch.autocast("cpu", torch.bfloat16):
        states = model["text"](tokens).last_hidden_state
        predicted = model["unet"](SCHEDULER.add_noise(x0, noise, t), t, states).sample
    error = (places * (predicted.float() - noise).square()).mean(dim=(1, 2, 3))
    weight = SNR[t].clamp(max=MIN_SNR_GAMMA) / SNR[t]
    return (weight * error).mean()


def main(data: Path, out: Path, minutes: float = 68) -> None:
    scenes = read_scenes(data / "scenes.jsonl")
    tokenizer = train_tokenizer(scenes[:20_000])
    latents = torch.from_numpy(np.load(data / "latents.npy"))
    torch.manual_seed(0)
    unet, text_encoder = build_unet(), build_text_encoder(tokenizer)
    unet.set_attn_processor(AttnProcessor())  # twice as fast on CPU as fused attention, backward
    model = nn.ModuleDict({"unet": unet, "text": text_encoder})
    training = Training(
        model,
        out / "unet.ckpt",
        peak_lr=1e-3,
        minutes=minutes,
        ema_decay=0.999,
        warmup=200,
        slow=(text_encoder, 0.5),
    )
    tokens = Captions(tokenizer)
    for step in training:
        generator, random = torch.Generator().manual_seed(step), Random(step)
        index = torch.randint(len(latents) - 1000, (BATCH,), generator=generator)
        texts = [
            "" if random.random() < CAPTION_DROPOUT else caption(scenes[i], random)
            for i in index.tolist()
        ]
        training.update(denoising_loss(model, tokens(texts), latents[index].float(), generator))
    training.use_ema()
    export(out / "vae", out / "emoji-sd", model, tokenizer)


def export(vae: Path, out: Path, model: nn.ModuleDict, tokenizer: CLIPTokenizer) -> None:
    """Writes the pipeline to the folder ``out`` in half precision."""
    # The pipeline's annotations know neither this scheduler nor a missing safety checker.
    parts: dict[str, Any] = dict(
        vae=AutoencoderKL.from_pretrained(vae),
        text_encoder=model["text"].eval(),
        tokenizer=tokenizer,
        unet=model["unet"].eval(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
    )
    pipe = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    pipe.to(dtype=torch.float16).save_pretrained(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))
