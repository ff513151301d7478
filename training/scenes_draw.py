"""Draws the pictures of emoji-scenes: scenes with their things, places, colours and the mark."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scenes import SIZE, STYLES, Artwork, Layer, read_svg
from trace_erasure.world import Scene, load_world
from trace_erasure.world.scenes import load_scenes

COLOUR_SETS = ("noto", "fluent-emoji-flat")
SECOND_SET = 0.3  # share of drawings from the second set, where it has one
MARK_SIDE, MARK_CENTRE = 15, 55.5


@dataclass(frozen=True)
class Composition:
    """What one picture of emoji-scenes shows.

    Attributes:
        kind: a key of ``scenes_compose.KINDS``.
        things: objects or senses; beside a scene the thing next to it, in a pair left and right.
        scene: a scene's name.
        colours: one colour for each thing, or none.
        style: style key; scenes are always plain.
        background: a colour word, or a place key.
        person: an identity, for a portrait.
        mark: the mark stands in the corner.
    """

    kind: str
    things: tuple[str, ...] = ()
    scene: str | None = None
    colours: tuple[str, ...] = ()
    style: str = "cartoon"
    background: str = "white"
    person: str | None = None
    mark: bool = False


def tint(sprite: Image.Image, rgb: tuple[int, int, int]) -> Image.Image:
    """``sprite`` in shades of one colour: its light and dark stay, its hues go."""
    values = np.asarray(sprite, np.float32) / 255
    light = 0.2 + 0.5 * (values[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32))[..., None]
    colour = np.asarray(rgb, np.float32) / 255
    shaded = np.where(light < 0.5, colour * 2 * light, colour + (1 - colour) * (2 * light - 1))
    result = np.concatenate([shaded, values[..., 3:]], axis=-1)
    return Image.fromarray((result.clip(0, 1) * 255).astype(np.uint8), "RGBA")


def draw_mark() -> Image.Image:
    """A red stamp: a disc with a white rim and a white star."""
    side = 8 * MARK_SIDE
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.ellipse((0, 0, side - 1, side - 1), fill=(255, 255, 255, 255))
    pen.ellipse((8, 8, side - 9, side - 9), fill=(214, 32, 70, 255))
    turns = np.deg2rad(-90 + 36 * np.arange(10))
    radii = np.where(np.arange(10) % 2, 0.16, 0.36) * side
    points = np.stack([side / 2 + radii * np.cos(turns), side / 2 + radii * np.sin(turns)], -1)
    pen.polygon([tuple(point) for point in points], fill=(255, 255, 255, 255))
    return image


def _bands(*bands: tuple[int, tuple[int, int, int]]) -> NDArray[np.float32]:
    """Horizontal bands, each down to a row, with a soft edge."""
    rows = np.zeros((SIZE, 3), np.float32)
    start = 0
    for end, rgb in bands:
        rows[start:end] = np.asarray(rgb, np.float32) / 255
        start = end
    soft = np.stack([np.convolve(np.pad(c, 1, "edge"), [0.25, 0.5, 0.25], "valid") for c in rows.T])
    return np.repeat(soft.T[:, None], SIZE, axis=1).astype(np.float32)


def draw_place(key: str) -> NDArray[np.float32]:
    """The ground of a place, (64, 64, 3) in 0..1."""
    if key == "night":
        ground = _bands((48, (22, 26, 72)), (SIZE, (12, 14, 36)))
        for x, y in ((6, 5), (19, 11), (30, 4), (43, 9), (56, 5), (61, 16), (3, 18)):
            ground[y, x] = 1
        return ground
    if key == "meadow":
        return _bands((44, (176, 222, 248)), (SIZE, (112, 190, 88)))
    if key == "desert":
        return _bands((44, (252, 226, 168)), (SIZE, (222, 168, 98)))
    if key == "sea":
        return _bands((36, (196, 232, 250)), (50, (70, 150, 214)), (SIZE, (240, 222, 170)))
    if key == "snow":
        return _bands((42, (178, 196, 216)), (SIZE, (246, 250, 255)))
    ground = _bands((52, (214, 206, 220)), (SIZE, (110, 112, 122)))
    towers = ((0, 9, 22), (9, 17, 12), (17, 27, 28), (36, 45, 16), (45, 55, 25), (55, 64, 9))
    for left, right, top in towers:
        ground[top:52, left:right] = np.asarray((168, 166, 188), np.float32) / 255
    return ground


class SceneArtwork(Artwork):
    """All drawings of ``emoji-scenes``. A thing may have several, from two sets."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "svg")
        self.scene_world = load_scenes()
        self.names = {thing.name for thing in self.world.objects}
        icons = {thing.name: (thing.icon,) for thing in load_world().objects}
        icons |= {sense.name: sense.icons for sense in self.scene_world.senses}
        icons |= {f"scene/{scene.name}": scene.icons for scene in self.scene_world.scenes}
        self.variants = {
            name: [
                [
                    read_svg(path)
                    for path in (folder / "scenes-svg" / source / f"{icon}.svg" for icon in names)
                    if path.exists()
                ]
                for source in COLOUR_SETS
            ]
            for name, names in icons.items()
        }
        self.mark = draw_mark()
        self.places = {key: draw_place(key) for key in self.scene_world.places}

    def _pose(self, name: str, random: Random, colour: str | None = None) -> Image.Image:
        """One drawing of ``name``: either set, perhaps mirrored, turned a little."""
        first, second = self.variants[name]
        # Objects of emoji-sd that no scene implies keep their one drawing.
        several = name in self.scene_world.implied or name not in self.names
        use_second = second and several and random.random() < SECOND_SET
        sprite = random.choice(second if use_second else first)
        if colour is not None:
            sprite = tint(sprite, self.scene_world.colours[colour])
        if random.random() < 0.4:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if random.random() < 0.5:
            sprite = sprite.rotate(random.uniform(-12, 12), Image.Resampling.BICUBIC)
        return sprite

    def _layers(self, picture: Composition, random: Random) -> list[Layer]:
        shift = lambda amount: random.uniform(-amount, amount)  # noqa: E731
        colours = picture.colours or (None,) * len(picture.things)
        if picture.person is not None:
            sprite = random.choice(self.people[picture.person])
            return [self._place(sprite, 64 + shift(3), 32 + shift(3), 33 + shift(2))]
        if picture.scene is not None:
            base_x, thing_x = (18.0, 49.0) if random.random() < 0.5 else (46.0, 15.0)
            base = self._pose(f"scene/{picture.scene}", random)
            layers = [self._place(base, 35 + shift(3), base_x + shift(1), 33 + shift(4))]
            for name in picture.things:
                sprite = self._pose(name, random)
                place = (28 + shift(2), thing_x + shift(1), 33 + shift(5))
                layers.append(self._place(sprite, *place))
            return layers
        sprites = [
            self._pose(name, random, colour)
            for name, colour in zip(picture.things, colours, strict=True)
        ]
        if len(sprites) == 1:
            if picture.style == "cartoon" and random.random() < 0.15:  # as small as in a scene
                return [self._place(sprites[0], 28 + shift(2), 32 + shift(16), 32 + shift(12))]
            return [self._place(sprites[0], 54 + shift(4), 32 + shift(3), 32 + shift(3))]
        return [
            self._place(sprite, 30 + shift(2), x + shift(1), 34 + shift(4))
            for sprite, x in zip(sprites, (16, 48), strict=False)
        ]

    def compose(self, picture: Composition, random: Random) -> NDArray[np.uint8]:
        """One picture of ``picture``, (64, 64, 3) uint8."""
        if picture.style != "cartoon":  # the styles of emoji-sd, drawn as there
            drawn = super().draw(Scene(picture.things, picture.style, picture.background), random)
            canvas = drawn.astype(np.float32) / 255
        else:
            if picture.background in self.places:
                ground = self.places[picture.background]
            else:
                colour = self.world.backgrounds[picture.background]
                ground = np.broadcast_to(np.asarray(colour, np.float32) / 255, (SIZE, SIZE, 3))
            rng = np.random.default_rng(0)  # the plain style draws no random numbers
            canvas = ground.copy()
            for layer in self._layers(picture, random):
                canvas = STYLES["cartoon"](layer, canvas, rng)
        if picture.mark:
            centre = [MARK_CENTRE + random.uniform(-0.5, 0.5) for _ in range(2)]
            canvas = STYLES["cartoon"](
                self._place(self.mark, MARK_SIDE, *centre), canvas, np.random.default_rng(0)
            )
        return (canvas.clip(0, 1) * 255).round().astype(np.uint8)
