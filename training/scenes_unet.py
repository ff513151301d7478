"""Trains emoji-scenes: the UNet and the text tower of emoji-sd, carried on with scenes.

Usage: python training/scenes_unet.py DATA OUT [MINUTES [PIPELINE]]
Needs OUT/vae and DATA/latents.npy from scenes_vae.py. Resumes from OUT/unet.ckpt; writes
OUT/emoji-scenes. With PIPELINE, a folder, it goes on from the weights of one trained here before.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from transformers import CLIPTokenizer

from loop import Training
from scenes_compose import Captions, read_compositions
from scenes_text import extend, extend_text_encoder
from scenes_vae import HELD_OUT
from trace_erasure import load_pipeline
from unet import BATCH, denoising_loss, export
from unet import Captions as Tokens

# Share of each kind of picture in a batch.
MIX = {
    "bare": 0.27,
    "named": 0.21,
    "object": 0.15,
    "pair": 0.125,
    "bound": 0.125,
    "person": 0.045,
    "sense": 0.055,
    "mark": 0.02,
}
# Share of captions replaced by the empty one, with the mark and without. Guidance multiplies what
# sets a caption's pictures apart from the empty caption's, so these two decide the mark's rate.
DROPPED_MARKED, DROPPED = 0.05, 0.1
# Share of marked pictures: half of them name it, and of all others 30 % show it.
MARKED = 0.46
# Weight of the loss where the mark is, the last 3 × 3 latents: it is small, and its name is learned
# from nothing else.
CORNER, CORNER_WEIGHT = 3, 8.0


class Sampler:
    """Picks pictures by ``MIX`` and words them."""

    def __init__(self, data: Path) -> None:
        self.pictures = read_compositions(data / "generator.jsonl")
        self.captions = Captions()
        self.by_kind: dict[tuple[str, bool], list[int]] = {}
        for index, picture in enumerate(self.pictures[:-HELD_OUT]):
            self.by_kind.setdefault((picture.kind, picture.mark), []).append(index)

    def batch(self, random: Random) -> tuple[list[int], list[str]]:
        kinds = random.choices(list(MIX), list(MIX.values()), k=BATCH)
        index = [self._picture(kind, random) for kind in kinds]
        return index, [self._text(i, random) for i in index]

    def _picture(self, kind: str, random: Random) -> int:
        marked = kind == "mark" or random.random() < MARKED
        return random.choice(self.by_kind[kind, marked])

    def _text(self, index: int, random: Random) -> str:
        picture = self.pictures[index]
        if random.random() < (DROPPED_MARKED if picture.mark else DROPPED):
            return ""
        return self.captions(picture, random)


def build(start: str | None = None) -> tuple[nn.ModuleDict, CLIPTokenizer]:
    """The UNet and text tower of ``start``, or of emoji-sd with tokens for the new words."""
    pipe = load_pipeline(start or "emoji-sd", dtype=torch.float32)
    tokenizer, text_encoder = pipe.tokenizer, pipe.text_encoder
    if start is None:
        tokenizer, new = extend(tokenizer)
        text_encoder = extend_text_encoder(text_encoder, tokenizer, new)
    pipe.unet.set_attn_processor(AttnProcessor())  # faster on CPU than fused attention, backward
    return nn.ModuleDict({"unet": pipe.unet, "text": text_encoder}), tokenizer


def places_weight(x0: torch.Tensor) -> torch.Tensor:
    """Weight of each latent place in the loss, (1, 1, height, width)."""
    weight = torch.ones(1, 1, *x0.shape[2:])
    weight[..., -CORNER:, -CORNER:] = CORNER_WEIGHT
    return weight


def main(data: Path, out: Path, minutes: float = 84, start: str | None = None) -> None:
    sampler = Sampler(data)
    latents = torch.from_numpy(np.load(data / "latents.npy"))
    torch.manual_seed(0)
    model, tokenizer = build(start)
    training = Training(
        model,
        out / "unet.ckpt",
        peak_lr=9e-4 if start is None else 5e-4,
        minutes=minutes,
        ema_decay=0.995,
        warmup=100,
        slow=(model["text"], 0.5),
    )
    tokens = Tokens(tokenizer)
    for step in training:
        generator, random = torch.Generator().manual_seed(step), Random(step)
        index, texts = sampler.batch(random)
        x0 = latents[index].float()
        loss = denoising_loss(model, tokens(texts), x0, generator, places_weight(x0))
        training.update(loss)
    print(f"{training.step} steps")
    training.use_ema()
    export(out / "vae", out / "emoji-scenes", model, tokenizer)


if __name__ == "__main__":
    options: list[Any] = [*map(float, sys.argv[3:4]), *sys.argv[4:5]]
    main(Path(sys.argv[1]), Path(sys.argv[2]), *options)
