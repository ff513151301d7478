"""Trains the independent judges on renders alone; they never see a generated picture.

Usage: python training/judges.py DATA OUT {resnet,regnet,clip} [MINUTES]
``resnet`` and ``regnet`` are classifiers of different architecture; ``clip`` is a text and a vision
tower for CLIP scores. Writes OUT/judges/NAME and prints its accuracy on held-out renders.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    PreTrainedModel,
    RegNetConfig,
    RegNetForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
)

from loop import Training
from text import read_scenes
from trace_erasure.world import Scene, caption, load_world
from unet import Captions, build_text_encoder
from vae import pixels

BATCH = 64
HELD_OUT = 1000  # pictures at the end of the set that no model trains on
NOTHING = "subject/nothing"
MINUTES = {"resnet": 6.0, "regnet": 6.0, "clip": 14.0}


def label_names() -> list[str]:
    """Logit names: subjects (objects, people, nothing), then styles. A softmax for each group."""
    world = load_world()
    subjects = [*(thing.name for thing in world.objects), *world.people]
    return [*(f"subject/{s}" for s in subjects), NOTHING, *(f"style/{s}" for s in world.styles)]


def targets(scenes: list[Scene], names: list[str]) -> torch.Tensor:
    """Soft targets, (n, labels): each group sums to one; two objects share their group."""
    result = torch.zeros(len(scenes), len(names))
    for row, scene in zip(result, scenes, strict=True):
        subjects = [scene.person] if scene.person else scene.objects
        for subject in subjects:
            row[names.index(f"subject/{subject}")] += 1 / len(subjects)
        row[names.index(f"style/{scene.style}")] = 1
    return result


def build_classifier(kind: str, names: list[str]) -> PreTrainedModel:
    """A small ResNet or RegNet with one logit for each of ``names``."""
    labels: dict[str, Any] = dict(
        id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)}
    )
    if kind == "resnet":
        return ResNetForImageClassification(
            ResNetConfig(
                embedding_size=24,
                hidden_sizes=[24, 48, 96, 160],
                depths=[1, 1, 1, 1],
                layer_type="basic",
                downsample_in_first_stage=False,
                **labels,
            )
        )
    return RegNetForImageClassification(
        RegNetConfig(
            embedding_size=24,
            hidden_sizes=[32, 64, 128, 192],
            depths=[1, 1, 1, 1],
            groups_width=16,
            layer_type="y",
            **labels,
        )
    )


def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift, scale, brightness, tint, softness and noise: what a generated picture may add."""
    n = len(x)
    draw = lambda *shape: torch.rand(*shape, generator=generator) * 2 - 1  # noqa: E731
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 + 0.08 * draw(n)
    theta[:, 0, 2], theta[:, 1, 2] = 0.06 * draw(n), 0.06 * draw(n)
    x = F.grid_sample(
        x,
        F.affine_grid(theta, list(x.shape), align_corners=False),
        padding_mode="border",
        align_corners=False,
    )
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    mix = (0.8 * torch.rand(n, 1, 1, 1, generator=generator)) * (draw(n, 1, 1, 1) > 0)
    x = x + mix * (blurred - x)
    x = x * (1 + 0.1 * draw(n, 1, 1, 1)) + 0.08 * draw(n, 3, 1, 1)
    level = 0.08 * torch.rand(n, 1, 1, 1, generator=generator)
    return (x + level * torch.randn(x.shape, generator=generator)).clamp(-1, 1)


def spoil(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pictures of nothing: flat grounds, noise, heavily blurred or shuffled renders."""
    n = len(x)
    flat = (torch.rand(n, 3, 1, 1, generator=generator) * 2 - 1).expand_as(x)
    noise = F.interpolate(torch.randn(n, 3, 16, 16, generator=generator), size=64)
    mush = F.interpolate(F.avg_pool2d(x, 16), size=64, mode="bilinear")
    tiles = F.unfold(x, 8, stride=8)
    shuffled = F.fold(tiles[:, :, torch.randperm(64, generator=generator)], 64, 8, stride=8)
    kind = torch.randint(4, (n, 1, 1, 1), generator=generator)
    return torch.where(
        kind == 0, flat, torch.where(kind == 1, noise, torch.where(kind == 2, mush, shuffled))
    ).clamp(-1, 1)


def grouped_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, subjects: int, has_style: torch.Tensor
) -> torch.Tensor:
    subject = F.cross_entropy(logits[:, :subjects], target[:, :subjects])
    style = F.cross_entropy(logits[:, subjects:], target[:, subjects:], reduction="none")
    return subject + (style * has_style).mean()


def train_classifier(kind: str, data: Path, out: Path, minutes: float) -> None:
    pictures = np.load(data / "pictures.npy", mmap_mode="r")
    scenes = read_scenes(data / "scenes.jsonl")
    names = label_names()
    subjects = names.index(NOTHING) + 1
    torch.manual_seed(1)
    model = build_classifier(kind, names)
    target = targets(scenes, names)
    training = Training(
        model,
        out / f"{kind}.ckpt",
        peak_lr=2e-3,
        minutes=minutes,
        ema_decay=0.998,
        weight_decay=0.05,
    )
    spoiled = BATCH // 16
    for step in training:
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(pictures) - HELD_OUT, (BATCH,), generator=generator).sort().values
        x, y = pixels(pictures[index.numpy()]), target[index]
        x = augment(x, generator)
        x[:spoiled] = spoil(x[:spoiled], generator)
        y[:spoiled, :subjects] = 0
        y[:spoiled, names.index(NOTHING)] = 1
        has_style = (torch.arange(BATCH) >= spoiled).float()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(pixel_values=x).logits.float()
        training.update(grouped_cross_entropy(logits, y, subjects, has_style))
    training.use_ema()
    model.eval()
    single = [i for i in range(len(scenes) - HELD_OUT, len(scenes)) if len(scenes[i].objects) < 2]
    with torch.no_grad():
        logits = model(pixel_values=pixels(pictures[single])).logits
    for group, part in (("subject", slice(0, subjects)), ("style", slice(subjects, None))):
        right = logits[:, part].argmax(-1) == target[single][:, part].argmax(-1)
        print(
            f"{kind}: {group} accuracy on {len(single)} held-out renders: "
            f"{right.float().mean():.4f}"
        )
    model.half()
    model.save_pretrained(out / "judges" / kind)


def train_clip(data: Path, out: Path, minutes: float) -> None:
    """A small CLIP with a text tower of its own: no weights are shared with the pipelines."""
    pictures = np.load(data / "pictures.npy", mmap_mode="r")
    scenes = read_scenes(data / "scenes.jsonl")
    tokenizer = CLIPTokenizer.from_pretrained(out / "emoji-sd" / "tokenizer")
    torch.manual_seed(2)
    text_config = build_text_encoder(tokenizer, width=128, layers=3).config.to_dict()
    vision_config = dict(
        image_size=64,
        patch_size=8,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
    )
    model = CLIPModel(
        CLIPConfig(text_config=text_config, vision_config=vision_config, projection_dim=128)
    )
    training = Training(
        model, out / "clip.ckpt", peak_lr=1e-3, minutes=minutes, ema_decay=0.998, weight_decay=0.05
    )
    tokens = Captions(tokenizer)
    batch = 2 * BATCH
    for step in training:
        generator, random = torch.Generator().manual_seed(step), Random(step)
        index = torch.randint(len(pictures) - HELD_OUT, (batch,), generator=generator).sort().values
        x = augment(pixels(pictures[index.numpy()]), generator)
        texts = [caption(scenes[i], random) for i in index.tolist()]
        with torch.autocast("cpu", torch.bfloat16):
            output = model(input_ids=tokens(texts), pixel_values=x)
        logits = output.logits_per_image.float()
        # Pictures with equal captions are not each other's negatives.
        same = torch.tensor([[a == b for b in texts] for a in texts]).float()
        rows, columns = same / same.sum(1, keepdim=True), same / same.sum(0, keepdim=True)
        training.update((F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, columns.T)) / 2)
    training.use_ema()
    model.eval()
    world = load_world()
    held_out = [
        i for i in range(len(scenes) - HELD_OUT, len(scenes)) if len(scenes[i].objects) == 1
    ]
    names = [thing.name for thing in world.objects]
    right = 0
    for style, words in world.styles.items():
        own = [i for i in held_out if scenes[i].style == style]
        ending = "" if style == world.plain_style else f", {words} style"
        texts = [f"{thing.article} {thing.name}".strip() + ending for thing in world.objects]
        with torch.no_grad():
            logits = model(
                input_ids=tokens(texts), pixel_values=pixels(pictures[own])
            ).logits_per_image
        truth = torch.tensor([names.index(scenes[i].objects[0]) for i in own])
        right += int((logits.argmax(-1) == truth).sum())
    print(
        f"clip: zero-shot object accuracy, style named, on {len(held_out)} held-out renders: "
        f"{right / len(held_out):.4f}"
    )
    model.half().save_pretrained(out / "judges" / "clip")
    tokenizer.save_pretrained(out / "judges" / "clip")


if __name__ == "__main__":
    data, out, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    minutes = float(sys.argv[4]) if len(sys.argv) > 4 else MINUTES[kind]
    train_clip(data, out, minutes) if kind == "clip" else train_classifier(kind, data, out, minutes)
