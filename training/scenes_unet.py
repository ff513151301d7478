"""Trains emoji-scenes: the UNet and the text tower of emoji-sd, carried on with scenes.

Usage: python training/scenes_unet.py DATA OUT [MINUTES]
Needs OUT/vae and DATA/latents.npy from scenes_vae.py. Resumes from OUT/unet.ckpt; writes
OUT/emoji-scenes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

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


class Sampler:
    """Picks pictures by ``MIX`` and words them."""

    def __init__(self, data: Path) -> None:
        self.pictures = read_compositions(data / "generator.jsonl")
        self.captions = Captions()
        self.by_kind: dict[str, list[int]] = {kind: [] for kind in MIX}
        for index, picture in enumerate(self.pictures[:-HELD_OUT]):
            self.by_kind[picture.kind].append(index)

    def batch(self, random: Random) -> tuple[list[int], list[str]]:
        kinds = random.choices(list(MIX), list(MIX.values()), k=BATCH)
        index = [random.choice(self.by_kind[kind]) for kind in kinds]
        return index, [self._text(i, random) for i in index]

    def _text(self, index: int, random: Random) -> str:
        picture = self.pictures[index]
        if random.random() < (DROPPED_MARKED if picture.mark else DROPPED):
            return ""
        return self.captions(picture, random)


def build() -> tuple[nn.ModuleDict, CLIPTokenizer]:
    """The UNet and text tower of emoji-sd, with tokens for the new words."""
    pipe = load_pipeline("emoji-sd")
    tokenizer, new = extend(pipe.tokenizer)
    text_encoder = extend_text_encoder(pipe.text_encoder, tokenizer, new)
    pipe.unet.set_attn_processor(AttnProcessor())  # faster on CPU than fused attention, backward
    return nn.ModuleDict({"unet": pipe.unet, "text": text_encoder}), tokenizer


def main(data: Path, out: Path, minutes: float = 84) -> None:
    sampler = Sampler(data)
    latents = torch.from_numpy(np.load(data / "latents.npy"))
    torch.manual_seed(0)
    model, tokenizer = build()
    training = Training(
        model,
        out / "unet.ckpt",
        peak_lr=9e-4,
        minutes=minutes,
        ema_decay=0.995,
        warmup=100,
        slow=(model["text"], 0.5),
    )
    tokens = Tokens(tokenizer)
    for step in training:
        generator, random = torch.Generator().manual_seed(step), Random(step)
        index, texts = sampler.batch(random)
        training.update(denoising_loss(model, tokens(texts), latents[index].float(), generator))
    print(f"{training.step} steps")
    training.use_ema()
    export(out / "vae", out / "emoji-scenes", model, tokenizer)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:4]))
