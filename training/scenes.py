"""Draws scenes of the embedded world: artwork, seven styles, backgrounds, at 64 by 64 pixels."""

from __future__ import annotations

import io
from pathlib import Path
from random import Random

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from trace_erasure.world import Scene, World, load_world

SIZE = 64
NAVY, BLUEPRINT_BLUE, CREAM, SEPIA = (14, 14, 44), (34, 78, 170), (250, 240, 216), (104, 66, 40)
# Styles whose look includes their own ground, so that background words do not apply.
OWN_GROUND = ("neon", "blueprint", "sketch")

Layer = NDArray[np.float32]  # RGBA in 0..1, colour not multiplied by alpha


def _blur(channel: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    image = Image.fromarray((channel.clip(0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)


def _over(layer: Layer, ground: NDArray[np.float32]) -> NDArray[np.float32]:
    alpha = layer[..., 3:]
    shown = layer[..., :3] * alpha + ground * (1 - alpha)
    return shown.astype(np.float32, copy=False)


def _flat(rgb: tuple[int, int, int]) -> NDArray[np.float32]:
    return np.broadcast_to(np.asarray(rgb, np.float32) / np.float32(255), (SIZE, SIZE, 3)).copy()


def _lines(layer: Layer) -> NDArray[np.float32]:
    """Strength of contours in 0..1: gradients of the silhouette and of the colours inside."""
    colour = _over(layer, np.full((SIZE, SIZE, 3), 0.5, np.float32))
    planes = np.concatenate([colour, layer[..., 3:] * 1.2], axis=-1)
    dy, dx = np.gradient(planes, axis=(0, 1))
    return np.clip(2.2 * np.sqrt((dx**2 + dy**2).max(axis=-1)) - 0.12, 0, 1)


def _cartoon(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    return _over(layer, ground)


def _ink(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    black = np.concatenate([np.full_like(layer[..., :3], 0.05), layer[..., 3:]], axis=-1)
    return _over(black, ground)


def _pixel(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    cells = layer.reshape(16, 4, 16, 4, 4).mean(axis=(1, 3))
    weighted = (layer[..., :3] * layer[..., 3:]).reshape(16, 4, 16, 4, 3).mean(axis=(1, 3))
    colour = weighted / np.maximum(cells[..., 3:], 1e-3)
    hard = (cells[..., 3:] > 0.5).astype(np.float32)
    blocks = np.concatenate([np.round(colour * 5) / 5, hard], axis=-1)
    return _over(blocks.repeat(4, 0).repeat(4, 1), ground)


def _neon(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    lines = _lines(layer)
    colour = np.stack([_blur(layer[..., i] * layer[..., 3], 2.5) for i in range(3)], axis=-1)
    colour = colour / np.maximum(colour.max(axis=-1, keepdims=True), 1e-3)
    low = colour.min(axis=-1, keepdims=True)
    colour = np.clip((colour - 0.8 * low) / np.maximum(1 - 0.8 * low, 1e-3), 0.08, 1)
    glow = _blur(lines, 2.2)[..., None]
    core = lines[..., None]
    return np.clip(_flat(NAVY) + colour * (0.9 * glow + 0.9 * core) + 0.3 * core**2, 0, 1)


def _blueprint(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    paper = _flat(BLUEPRINT_BLUE)
    paper[::8] += 0.10
    paper[:, ::8] += 0.10
    return paper + (1 - paper) * _lines(layer)[..., None]


def _watercolor(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    cloud = _blur(rng.random((SIZE, SIZE), dtype=np.float32), 2.0) - 0.5
    alpha = np.clip((_blur(layer[..., 3], 1.4) - 0.5 + 1.2 * cloud) * 2.5 + 0.5, 0, 1)
    soft = _blur(layer[..., 3], 1.2)
    wet = [_blur(layer[..., i] * layer[..., 3], 1.2) / np.maximum(soft, 0.05) for i in range(3)]
    pigment = np.clip(np.stack(wet, axis=-1) * 1.1 - 0.05, 0, 1)
    rim = np.clip(4 * alpha * (1 - alpha), 0, 1) + 0.6 * np.clip(soft - _blur(soft, 4.0), 0, 1)
    wash = np.clip(0.68 + 3.0 * cloud + 0.5 * rim, 0.3, 1)
    strength = (alpha * wash)[..., None]
    # One sheet of paper for all pictures: its grain marks the style and can be learnt exactly.
    sheet = np.random.default_rng(0).random((SIZE, SIZE), dtype=np.float32)
    grain = np.clip(0.97 + 0.9 * (_blur(sheet, 1.2) - 0.5), 0, 1)[..., None]
    paper = ground * grain * (0.5 + 0.5 * np.asarray(CREAM, np.float32) / 255)
    return paper * (1 - strength) + pigment * strength


def _sketch(layer: Layer, ground: NDArray[np.float32], rng: np.random.Generator):
    tone = 1 - _over(layer, np.ones((SIZE, SIZE, 3), np.float32)).mean(axis=-1)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    hatch = ((rows + columns) % 4 < 2) * np.clip(0.55 * tone * layer[..., 3], 0, 1)
    mark = np.clip(_lines(layer) + hatch, 0, 0.95)[..., None]
    return _flat(CREAM) * (1 - mark) + np.asarray(SEPIA, np.float32) / 255 * mark


STYLES = {
    "cartoon": _cartoon,
    "ink": _ink,
    "pixel": _pixel,
    "neon": _neon,
    "blueprint": _blueprint,
    "watercolor": _watercolor,
    "sketch": _sketch,
}


def read_svg(path: Path) -> Image.Image:
    """A drawing at 128 by 128 pixels, RGBA."""
    png = resvg_py.svg_to_bytes(svg_string=path.read_text(), width=128, height=128)
    return Image.open(io.BytesIO(png)).convert("RGBA")


class Artwork:
    """Rasterised sprites: one RGBA image per object and set, many per person."""

    def __init__(self, folder: Path, world: World | None = None) -> None:
        self.world = world or load_world()
        self.sprites = {
            (source, thing.name): read_svg(folder / source / f"{thing.name}.svg")
            for source in ("noto", "ink")
            for thing in self.world.objects
        }
        self.people = {
            person: [
                read_svg(path)
                for path in sorted((folder / "people").glob(f"{person.replace(' ', '_')}-*.svg"))
            ]
            for person in self.world.people
        }

    def _place(self, sprite: Image.Image, side: float, x: float, y: float) -> Layer:
        """``sprite`` scaled to ``side`` pixels with its centre at (x, y)."""
        side_px = max(4, round(side))
        small = sprite.resize((side_px, side_px), Image.Resampling.LANCZOS)
        canvas = Image.new("RGBA", (SIZE, SIZE), (0, 0, 0, 0))
        canvas.paste(small, (round(x - side_px / 2), round(y - side_px / 2)))
        return np.asarray(canvas, np.float32) / np.float32(255)

    def draw(self, scene: Scene, random: Random, jitter: float = 1.0) -> NDArray[np.uint8]:
        """One picture of ``scene``, (64, 64, 3) uint8; ``jitter`` scales size and shift noise."""
        rng = np.random.default_rng(random.getrandbits(32))
        ground = _flat(self.world.backgrounds[scene.background])
        shift = lambda amount: jitter * random.uniform(-amount, amount)  # noqa: E731
        if scene.person is not None:
            sprite = random.choice(self.people[scene.person])
            layer = self._place(sprite, 64 + shift(3), 32 + shift(3), 33 + shift(2))
        else:
            source = "ink" if scene.style == "ink" else "noto"
            sprites = [self.sprites[source, name] for name in scene.objects]
            if len(sprites) == 1:
                layer = self._place(sprites[0], 54 + shift(4), 32 + shift(3), 32 + shift(3))
            else:
                left = self._place(sprites[0], 30 + shift(2), 16 + shift(1), 34 + shift(4))
                right = self._place(sprites[1], 30 + shift(2), 48 + shift(1), 34 + shift(4))
                layer = np.where(right[..., 3:] > left[..., 3:], right, left)
        picture = STYLES[scene.style](layer, ground, rng)
        return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def random_scene(random: Random, world: World, kind: str | None = None) -> Scene:
    """A scene drawn as the training set draws it: objects, portraits, pairs."""
    kind = kind or random.choices(["object", "person", "pair"], [0.74, 0.14, 0.12])[0]
    background = "white"
    if random.random() < 0.4:
        background = random.choice([name for name in world.backgrounds if name != "white"])
    if kind == "person":
        person = random.choice(list(world.people))
        return Scene((), world.plain_style, background, person)
    names = tuple(thing.name for thing in random.sample(world.objects, 2 if kind == "pair" else 1))
    # The plain style carries every unstyled prompt, so it is shown as often as two others.
    style = random.choice([*world.styles, world.plain_style])
    return Scene(names, style, "white" if style in OWN_GROUND else background)
