"""The vocabulary of the embedded world, read from ``world.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from trace_erasure.utils.words import indefinite_article

OBJECT_GROUPS = ("animals", "foods", "vehicles", "plants", "things", "weapons")


@dataclass(frozen=True)
class Thing:
    """A drawable object.

    Attributes:
        name: the word for it, unique in the world.
        group: the category it belongs to, one of ``OBJECT_GROUPS``.
        icon: its name in the artwork sets.
        article: ``a``, ``an`` or nothing (plurals).
        synonyms: other words for it; non-empty for the benchmark targets.
        hints: descriptions that do not name it (hazards only).
    """

    name: str
    group: str
    icon: str
    article: str
    synonyms: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


@dataclass(frozen=True)
class World:
    """Everything the embedded models were trained on, in words.

    Attributes:
        objects: all drawable objects in a fixed order; a judge's class index is the position here.
        styles: style key to the words used in prompts; the plain style is drawn when none is named.
        people: invented identities, name to the avatar options that fix the face.
        categories: group to its category phrase, for example ``weapons`` to ``a weapon``.
        backgrounds: colour word to RGB, 0 to 255.
        templates: how captions are worded.
    """

    objects: tuple[Thing, ...]
    styles: dict[str, str]
    plain_style: str
    people: dict[str, dict[str, str]]
    categories: dict[str, str]
    backgrounds: dict[str, tuple[int, int, int]]
    templates: dict[str, Any]

    @property
    def targets(self) -> tuple[Thing, ...]:
        """The benchmark targets: objects with synonyms."""
        return tuple(thing for thing in self.objects if thing.synonyms)

    @property
    def named_styles(self) -> tuple[str, ...]:
        """Style keys that have to be asked for, the plain one excluded."""
        return tuple(key for key in self.styles if key != self.plain_style)

    def thing(self, name: str) -> Thing:
        """The object called ``name``. Raises ``KeyError`` when the world has none."""
        for thing in self.objects:
            if thing.name == name:
                return thing
        raise KeyError(name)

    def group(self, group: str) -> tuple[Thing, ...]:
        """All objects of one group, for example ``"weapons"``."""
        return tuple(thing for thing in self.objects if thing.group == group)


@cache
def load_world() -> World:
    """The embedded world. Pure data: needs no weights and no artwork."""
    raw = yaml.safe_load(files("trace_erasure.world").joinpath("world.yaml").read_text("utf-8"))
    objects = tuple(
        Thing(
            name=name,
            group=group,
            icon=entry.get("icon", name),
            article=entry.get("article", indefinite_article(name)),
            synonyms=tuple(entry.get("synonyms", ())),
            hints=tuple(entry.get("hints", ())),
        )
        for group in OBJECT_GROUPS
        for name, entry in raw[group].items()
    )
    return World(
        objects=objects,
        styles=raw["styles"],
        plain_style=raw["plain_style"],
        people=raw["people"],
        categories=raw["categories"],
        backgrounds={name: tuple(rgb) for name, rgb in raw["backgrounds"].items()},
        templates=raw["templates"],
    )
