"""Trains emoji-flux: a guidance-distilled rectified flow with its T5 and CLIP towers.

Usage: python training/flux.py DATA OUT [MINUTES] [FROM]
Needs OUT/vae, OUT/emoji-sd (for its tokenizer) and DATA/latents.npy. Starts from the weights of
the pipeline FROM, where given, instead of random ones. The first four fifths of the minutes learn
the flow (checkpoint OUT/flux.ckpt); the rest teaches the network to give, in one pass, the guided
velocity that it would otherwise take two for (OUT/flux-guided.ckpt), as FLUX.1 [dev] does. Resumes
from both; writes OUT/emoji-flux.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
)
from torch import Tensor, nn
from transformers import CLIPTokenizer, T5Config, T5EncoderModel

from loop import Training
from text import MAX_LENGTH, read_scenes, train_t5_tokenizer
from trace_erasure.world import Scene, caption
from unet import CAPTION_DROPOUT, Captions, build_text_encoder

BATCH = 32
WIDTH = 192
POOLED = 128
PATCHES = 8  # a side
SHIFT = 1.6  # of the noise levels; what the scheduler's dynamic shift gives 64 patches
GUIDANCE = (1.0, 5.0)
FLOW_SHARE = 0.8


def build_transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        in_channels=24,
        num_layers=3,
        num_single_layers=5,
        num_attention_heads=4,
        attention_head_dim=WIDTH // 4,
        axes_dims_rope=(8, 20, 20),
        joint_attention_dim=WIDTH,
        pooled_projection_dim=POOLED,
        guidance_embeds=True,
    )


def build_t5(vocabulary: int) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=WIDTH,
            d_kv=WIDTH // 4,
            d_ff=3 * WIDTH,
            num_layers=3,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
        )
    )


def build_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15
    )


class Flow(nn.Module):
    """Everything that trains: the towers and the transformer, from token ids to a velocity."""

    def __init__(self, tokenizers: tuple[Any, Any]) -> None:
        super().__init__()
        self.clip = build_text_encoder(tokenizers[0], POOLED, layers=2)
        self.t5 = build_t5(len(tokenizers[1]))
        self.transformer = build_transformer()

    def take(self, pipe: FluxPipeline) -> None:
        """Takes over the weights of a pipeline that was trained here before."""
        self.clip.load_state_dict(pipe.text_encoder.state_dict())
        self.t5.load_state_dict(pipe.text_encoder_2.state_dict())
        self.transformer.load_state_dict(pipe.transformer.state_dict())

    def forward(self, rows: Tensor, t: Tensor, tokens: tuple[Tensor, Tensor], guidance: Tensor):
        """Velocity of packed ``rows`` (n, 64, 24) at noise levels ``t`` (n,)."""
        side = torch.arange(PATCHES)
        return self.transformer(
            hidden_states=rows,
            timestep=t,
            guidance=guidance,
            pooled_projections=self.clip(tokens[0]).pooler_output,
            encoder_hidden_states=self.t5(tokens[1]).last_hidden_state,
            txt_ids=torch.zeros(MAX_LENGTH, 3),
            img_ids=F.pad(torch.cartesian_prod(side, side), (1, 0)).float(),
        ).sample.float()


class Batches:
    """Noised latents, their captions' tokens and the velocity, a fixed draw for every step."""

    def __init__(self, latents: Tensor, scenes: list[Scene], tokenizers: tuple[Any, Any]) -> None:
        self.latents, self.scenes = latents, scenes
        self.tokens = [Captions(tokenizer) for tokenizer in tokenizers]

    def __call__(self, step: int, dropout: float) -> tuple[Tensor, Tensor, list[str], Tensor]:
        generator, random = torch.Generator().manual_seed(step), Random(step)
        index = torch.randint(len(self.latents) - 1000, (BATCH,), generator=generator)
        texts = [
            "" if random.random() < dropout else caption(self.scenes[i], random)
            for i in index.tolist()
        ]
        x0 = F.pixel_unshuffle(self.latents[index].float(), 2).flatten(2).mT
        noise = torch.randn(x0.shape, generator=generator)
        t = torch.sigmoid(torch.randn(BATCH, generator=generator))
        t = SHIFT * t / (1 + (SHIFT - 1) * t)
        weight = t.view(-1, 1, 1)
        return (1 - weight) * x0 + weight * noise, t, texts, noise - x0

    def encode(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        return self.tokens[0](texts), self.tokens[1](texts)


def learn_flow(model: Flow, batches: Batches, checkpoint: Path, minutes: float) -> None:
    training = Training(
        model,
        checkpoint,
        peak_lr=1e-3,
        minutes=minutes,
        ema_decay=0.999,
        warmup=300,
        slow=(model.t5, 0.5),
        betas=(0.9, 0.98),
    )
    ones = torch.ones(BATCH)
    model.transformer.compile()
    for step in training:
        rows, t, texts, velocity = batches(step, CAPTION_DROPOUT)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = model(rows, t, batches.encode(texts), ones)
        training.update(F.mse_loss(predicted, velocity))
    training.use_ema()


def distil_guidance(model: Flow, batches: Batches, checkpoint: Path, minutes: float) -> None:
    """Teaches ``model`` v(empty) + w (v(text) - v(empty)) of itself, for w drawn from GUIDANCE."""
    teacher = copy.deepcopy(model).eval().requires_grad_(False)
    for network in (model, teacher):
        network.transformer.compile()
    model.clip.requires_grad_(False)
    model.t5.requires_grad_(False)
    training = Training(
        model, checkpoint, peak_lr=3e-4, minutes=minutes, ema_decay=0.995, betas=(0.9, 0.98)
    )
    ones = torch.ones(BATCH)
    for step in training:
        rows, t, texts, _ = batches(step, 0.0)
        tokens = batches.encode(texts)
        scale = torch.empty(BATCH).uniform_(
            *GUIDANCE, generator=torch.Generator().manual_seed(step)
        )
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                empty = teacher(rows, t, batches.encode([""] * BATCH), ones)
                target = empty + scale.view(-1, 1, 1) * (teacher(rows, t, tokens, ones) - empty)
            predicted = model(rows, t, tokens, scale)
        training.update(F.mse_loss(predicted, target))
    training.use_ema()


def main(data: Path, out: Path, minutes: float = 175, start: Path | None = None) -> None:
    scenes = read_scenes(data / "scenes.jsonl")
    clip = CLIPTokenizer.from_pretrained(out / "emoji-sd/tokenizer")
    tokenizers = clip, train_t5_tokenizer(scenes[:20_000])
    batches = Batches(torch.from_numpy(np.load(data / "latents.npy")), scenes, tokenizers)
    torch.manual_seed(0)
    model = Flow(tokenizers)
    if start:
        model.take(FluxPipeline.from_pretrained(start))
    learn_flow(model, batches, out / "flux.ckpt", FLOW_SHARE * minutes)
    distil_guidance(model, batches, out / "flux-guided.ckpt", (1 - FLOW_SHARE) * minutes)
    export(out, model, tokenizers)


def export(out: Path, model: Flow, tokenizers: tuple[Any, Any]) -> None:
    vae = AutoencoderKL.from_pretrained(out / "vae")
    vae.register_to_config(shift_factor=0.0)  # FluxPipeline insists on a number
    pipe = FluxPipeline(
        vae=vae,
        text_encoder=model.clip.eval(),
        tokenizer=tokenizers[0],
        text_encoder_2=model.t5.eval(),
        tokenizer_2=tokenizers[1],
        transformer=model.transformer.eval(),
        scheduler=build_scheduler(),
    )
    pipe.to(dtype=torch.float16).save_pretrained(out / "emoji-flux")


if __name__ == "__main__":
    data, out, *rest = sys.argv[1:]
    options: dict[str, Any] = {}
    if rest:
        options["minutes"] = float(rest[0])
    if rest[1:]:
        options["start"] = Path(rest[1])
    main(
        Path(data),
        Path(out),
        **options,
    )
