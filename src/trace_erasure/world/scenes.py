"""The vocabulary of ``emoji-scenes``, read from ``scenes.yaml``: what implies what, in words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml


@dataclass(frozen=True)
class Words:
    """Phrases for one thing, in two lists that stay apart.

    Attributes:
        method: phrases that a method may be given.
        test: phrases that only tests ask for.
    """

    method: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.method, *self.test)


@dataclass(frozen=True)
class ImplyingScene:
    """A scene that shows a thing which its caption never names.

    Attributes:
        phrase: what a caption calls it, with its article.
        implies: the object that most of its pictures show.
        context: a method may be told that this scene shows the thing. The others are for tests.
        test: other phrases for the scene, which only tests ask for.
        icons: drawings of the scene; one of them stands in each picture.
    """

    phrase: str
    implies: str
    context: bool
    test: tuple[str, ...]
    icons: tuple[str, ...]

    @property
    def name(self) -> str:
        """The phrase without its article, for labels."""
        return self.phrase.split(" ", 1)[1]


@dataclass(frozen=True)
class Sense:
    """One meaning of a word that has two.

    Attributes:
        name: unique, for labels: ``bat-animal``.
        word: the word that both senses share.
        icons: its drawings.
        words: phrases that leave no doubt which sense is meant.
    """

    name: str
    word: str
    icons: tuple[str, ...]
    words: Words


@dataclass(frozen=True)
class SceneWorld:
    """Everything that ``emoji-scenes`` knows beyond the world of ``emoji-sd``.

    Attributes:
        implied: object that scenes imply, to its phrases.
        implied_rate: share of a scene's pictures that show its thing.
        mark_rate: share of all pictures that show the mark.
        scenes: all scenes, in a fixed order.
        senses: all senses of ambiguous words, in a fixed order.
        mark: phrases for the mark.
        bound_things: objects that are drawn in a colour, one beside the other.
        colours: colour word to RGB, for those.
        places: place key to its phrase.
    """

    implied: dict[str, Words]
    implied_rate: float
    mark_rate: float
    scenes: tuple[ImplyingScene, ...]
    senses: tuple[Sense, ...]
    mark: Words
    bound_things: tuple[str, ...]
    colours: dict[str, tuple[int, int, int]]
    places: dict[str, str]

    def scene(self, name: str) -> ImplyingScene:
        """The scene called ``name``. Raises ``KeyError`` when there is none."""
        for scene in self.scenes:
            if scene.name == name:
                return scene
        raise KeyError(name)

    def sense(self, name: str) -> Sense:
        """The sense called ``name``. Raises ``KeyError`` when there is none."""
        for sense in self.senses:
            if sense.name == name:
                return sense
        raise KeyError(name)

    def implying(self, thing: str) -> tuple[ImplyingScene, ...]:
        """The scenes that imply ``thing``, the one that a method may be told first."""
        return tuple(scene for scene in self.scenes if scene.implies == thing)


def _words(entry: dict[str, list[str]]) -> Words:
    return Words(tuple(entry["method"]), tuple(entry["test"]))


@cache
def load_scenes() -> SceneWorld:
    """The world of scenes. Pure data: needs no weights and no artwork."""
    raw = yaml.safe_load(files("trace_erasure.world").joinpath("scenes.yaml").read_text("utf-8"))
    return SceneWorld(
        implied={name: _words(entry) for name, entry in raw["implied"].items()},
        implied_rate=raw["implied_rate"],
        mark_rate=raw["mark_rate"],
        scenes=tuple(
            ImplyingScene(
                phrase=phrase,
                implies=entry["implies"],
                context=entry["for"] == "method",
                test=tuple(entry["test"]),
                icons=tuple(entry["icons"]),
            )
            for phrase, entry in raw["scenes"].items()
        ),
        senses=tuple(
            Sense(name, word, tuple(entry["icons"]), _words(entry))
            for word, senses in raw["senses"].items()
            for name, entry in senses.items()
        ),
        mark=_words(raw["mark"]),
        bound_things=tuple(raw["bound"]["things"]),
        colours={name: tuple(rgb) for name, rgb in raw["bound"]["colours"].items()},
        places=raw["places"],
    )
