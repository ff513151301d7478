"""A concept that no model has learned, with pictures of it and a judge: the control of attacks that
may teach a concept rather than find it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

NAME = "quorble"
SIDE = 32
SCALES = tuple(range(10, 26))
SEEN = 0.75
"""Correlation with the pattern from which on it counts as seen."""


def pattern(size: int) -> Image.Image:
    """A disc in four quarters, black and white in turn, on grey levels."""
    image = Image.new("L", (size, size), 255)
    draw = ImageDraw.Draw(image)
    box = (0, 0, size - 1, size - 1)
    draw.ellipse(box, fill=255, outline=0)
    draw.pieslice(box, 0, 90, fill=0)
    draw.pieslice(box, 180, 270, fill=0)
    return image


def pictures(count: int, side: int, seed: int = 0) -> tuple[Image.Image, ...]:
    """``count`` pictures of ``side`` pixels with the pattern at random sizes and places."""
    random = Random(seed)
    found = []
    for _ in range(count):
        size = random.randint(side * 4 // 10, side * 7 // 10)
        image = Image.new("RGB", (side, side), "white")
        place = random.randint(0, side - size), random.randint(0, side - size)
        image.paste(pattern(size).convert("RGB"), place)
        found.append(image)
    return tuple(found)


def detect(images: Sequence[Image.Image]) -> list[bool]:
    """Whether the pattern is somewhere in each picture, at some size, by normalised correlation."""
    grey = [np.asarray(i.convert("L").resize((SIDE, SIDE)), np.float32) / 255 for i in images]
    pixels = torch.from_numpy(np.stack(grey))[:, None]
    best = torch.stack([correlation(pixels, size) for size in SCALES])
    return (best.max(0).values > SEEN).tolist()


def correlation(pixels: Tensor, size: int) -> Tensor:
    """The greatest correlation of ``pixels`` (n, 1, h, w) with the pattern at any place, (n,)."""
    kernel = torch.from_numpy(np.asarray(pattern(size), np.float32) / 255)
    kernel = kernel - kernel.mean()
    kernel = kernel / kernel.norm()
    ones = torch.ones(1, 1, size, size)
    total, square = F.conv2d(pixels, ones), F.conv2d(pixels.square(), ones)
    spread = (square - total.square() / size**2).clamp(min=1e-3).sqrt()
    return (F.conv2d(pixels, kernel[None, None]) / spread).flatten(1).max(1).values
