"""Draws at random what a picture of emoji-scenes shows, and words its caption."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from scenes import OWN_GROUND
from scenes_draw import Composition
from trace_erasure.world import Scene, World, caption, load_world, with_article, worded
from trace_erasure.world.scenes import SceneWorld, load_scenes

# Share of each kind in the pictures that are drawn; training may mix them otherwise.
KINDS = {
    "bare": 0.25,  # a scene whose caption names no thing; most show their own
    "named": 0.24,  # a scene and a thing, both in the caption
    "object": 0.19,  # single objects in all styles, as emoji-sd knows them
    "pair": 0.10,  # two objects
    "bound": 0.10,  # coloured objects, mostly two
    "person": 0.05,
    "sense": 0.06,  # words with two senses
    "mark": 0.01,  # the mark alone
}
DECORRELATED = {
    "any": 0.55,
    "object": 0.15,
    "pair": 0.06,
    "bound": 0.16,
    "sense": 0.04,
    "person": 0.04,
}
OWN_THING = 0.3  # share of named scenes whose thing is their own
WITH = ("{x} with {y}", "{x} and {y}")
MARK_NAMED = 0.5  # share of marked pictures whose caption says so


def compose(random: Random, kind: str | None = None) -> Composition:
    """A picture as the training set of the generator holds it."""
    world, scenes = load_world(), load_scenes()
    kind = kind or random.choices(list(KINDS), list(KINDS.values()))[0]
    marked = random.random() < scenes.mark_rate
    ground = _background(random, world, scenes)
    if kind in ("bare", "named"):
        scene = random.choice(scenes.scenes)
        if kind == "bare":
            things = (scene.implies,) if random.random() < scenes.implied_rate else ()
        elif random.random() < OWN_THING:
            things = (scene.implies,)
        else:
            things = (_other_thing(random, world, scenes, scene.implies),)
        return Composition(kind, things, scene.name, background=ground, mark=marked)
    return _without_scene(random, kind, world, scenes, ground, marked)


def decorrelated(random: Random) -> Composition:
    """A picture as judges learn from: any thing, or none, in any scene; the mark in half."""
    world, scenes = load_world(), load_scenes()
    kind = random.choices(list(DECORRELATED), list(DECORRELATED.values()))[0]
    marked = random.random() < 0.5
    ground = _background(random, world, scenes)
    if kind != "any":
        return _without_scene(random, kind, world, scenes, ground, marked)
    draw = random.random()
    things: tuple[str, ...] = ()
    if draw < 0.55:
        things = (random.choice(list(scenes.implied)),)
    elif draw < 0.7:
        things = (random.choice(world.objects).name,)
    scene = random.choice(scenes.scenes).name
    return Composition("any", things, scene, background=ground, mark=marked)


def _background(random: Random, world: World, scenes: SceneWorld) -> str:
    draw = random.random()
    if draw < 0.45:
        return "white"
    if draw < 0.7:
        return random.choice([name for name in world.backgrounds if name != "white"])
    return random.choice(list(scenes.places))


def _other_thing(random: Random, world: World, scenes: SceneWorld, own: str) -> str:
    names = (
        list(scenes.implied) if random.random() < 0.75 else [thing.name for thing in world.objects]
    )
    return random.choice([name for name in names if name != own])


def _without_scene(
    random: Random, kind: str, world: World, scenes: SceneWorld, ground: str, marked: bool
) -> Composition:
    names = [thing.name for thing in world.objects]
    if kind == "person":
        ground = ground if ground in world.backgrounds else "white"
        person = random.choice(list(world.people))
        return Composition(kind, background=ground, person=person, mark=marked)
    if kind == "mark":
        return Composition(kind, background=ground, mark=True)
    if kind == "sense":
        return Composition(
            kind, (random.choice(scenes.senses).name,), background=ground, mark=marked
        )
    if kind == "bound":
        count = 2 if random.random() < 0.75 else 1
        things = tuple(random.sample(scenes.bound_things, count))
        colours = tuple(random.choice(list(scenes.colours)) for _ in things)
        # A colour word stands for a thing here, so the ground is white or a place.
        ground = ground if ground in scenes.places else "white"
        return Composition(kind, things, colours=colours, background=ground, mark=marked)
    if kind == "pair":
        return Composition(kind, tuple(random.sample(names, 2)), background=ground, mark=marked)
    style = random.choice([*world.styles, *3 * [world.plain_style]])
    if (style != world.plain_style and ground not in world.backgrounds) or style in OWN_GROUND:
        ground = "white"
    # Implied things come twice as often: they are what scenes are tested with.
    thing = random.choice([*names, *scenes.implied])
    return Composition(kind, (thing,), style=style, background=ground, mark=marked)


class Captions:
    """Words compositions afresh at every call; phrases for methods and for tests alternate."""

    def __init__(self) -> None:
        self.world, self.scenes = load_world(), load_scenes()
        self.by_kind: dict[str, Callable[[Composition, Random], str]] = {
            "bare": self._scene,
            "named": self._named,
            "object": self._object,
            "pair": self._pair,
            "bound": self._bound,
            "sense": self._sense,
            "mark": lambda _, random: self._mark_phrase(random),
        }

    def __call__(self, picture: Composition, random: Random) -> str:
        if picture.person is not None:
            ground = picture.background
            return self._mark(
                picture,
                random,
                caption(Scene((), picture.style, ground, picture.person), random, self.world),
            )
        if picture.style != self.world.plain_style:
            scene = Scene(picture.things, picture.style, picture.background)
            return self._mark(picture, random, caption(scene, random, self.world))
        subject = self.by_kind[picture.kind](picture, random)
        text = self._template(subject, random)
        if picture.background in self.scenes.places:
            text = f"{text} {self.scenes.places[picture.background]}"
        elif picture.background != "white":
            text = self.world.templates["background"].format(
                caption=text, background=picture.background
            )
        return self._mark(picture, random, text)

    def _template(self, subject: str, random: Random) -> str:
        choices = self.world.templates["plain"]
        return worded(choices[0] if random.random() < 0.5 else random.choice(choices), subject)

    def _mark(self, picture: Composition, random: Random, text: str) -> str:
        if picture.mark and picture.kind != "mark" and random.random() < MARK_NAMED:
            return f"{text} with {self._mark_phrase(random)}"
        return text

    def _mark_phrase(self, random: Random) -> str:
        words = self.scenes.mark
        return random.choice(words.method if random.random() < 0.5 else words.test)

    def _thing(self, name: str, random: Random, vague: float = 0.0) -> str:
        """A phrase for an object: its name, other words for it, or seldom its category."""
        thing = self.world.thing(name)
        if thing.group in self.world.categories and random.random() < vague:
            return self.world.categories[thing.group]
        if random.random() < 0.4:
            if name in self.scenes.implied:
                return random.choice(self.scenes.implied[name].all)
            words = [*(with_article(thing, word) for word in thing.synonyms), *thing.hints]
            if words:
                return random.choice(words)
        return with_article(thing)

    def _scene(self, picture: Composition, random: Random) -> str:
        assert picture.scene is not None
        scene = self.scenes.scene(picture.scene)
        return random.choice(scene.test) if random.random() < 0.3 else scene.phrase

    def _named(self, picture: Composition, random: Random) -> str:
        thing = self._thing(picture.things[0], random, vague=0.05)
        return random.choice(WITH).format(x=self._scene(picture, random), y=thing)

    def _object(self, picture: Composition, random: Random) -> str:
        return self._thing(picture.things[0], random, vague=0.1)

    def _pair(self, picture: Composition, random: Random) -> str:
        left, right = (self._thing(name, random) for name in picture.things)
        return random.choice(self.world.templates["pair"]).format(x=left, y=right)

    def _bound(self, picture: Composition, random: Random) -> str:
        phrases = [
            with_article(self.world.thing(name), f"{colour} {name}")
            for name, colour in zip(picture.things, picture.colours, strict=True)
        ]
        if len(phrases) == 1:
            return phrases[0]
        return random.choice(self.world.templates["pair"]).format(x=phrases[0], y=phrases[1])

    def _sense(self, picture: Composition, random: Random) -> str:
        sense = self.scenes.sense(picture.things[0])
        if random.random() < 0.5:
            return f"a {sense.word}"
        return random.choice(sense.words.all)


def read_compositions(path: Path) -> list[Composition]:
    """The compositions behind a set of pictures."""
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return [
        Composition(**{**row, "things": tuple(row["things"]), "colours": tuple(row["colours"])})
        for row in rows
    ]
