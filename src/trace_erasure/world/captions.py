"""Scenes of the embedded world and the sentences that describe them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from trace_erasure.utils.words import indefinite_article
from trace_erasure.world.vocabulary import Thing, World, load_world


@dataclass(frozen=True)
class Scene:
    """What one picture shows.

    Attributes:
        objects: one object, or two from left to right; empty for a portrait.
        style: style key.
        background: colour word.
        person: an identity's name, for a portrait.
    """

    objects: tuple[str, ...]
    style: str
    background: str = "white"
    person: str | None = None


def with_article(thing: Thing, word: str | None = None) -> str:
    """``a fox``; with ``word``, a synonym in place of the name: ``a vixen``."""
    if word is None:
        return f"{thing.article} {thing.name}".strip()
    return f"{indefinite_article(word)} {word}"


def worded(template: str, subject: str, style: str = "") -> str:
    """``template`` filled in; styles are the words of a prompt, not keys."""
    a_style = f"{indefinite_article(style)} {style}" if style else ""
    return template.format(x=subject, style=style, a_style=a_style)


def _subject(thing: Thing, random: Random, world: World, vague: float) -> str:
    """A phrase for one object: its name, a synonym, a hint, or (seldom) its category."""
    draw = random.random()
    if draw < vague and thing.group in world.categories:
        return world.categories[thing.group]
    if thing.hints and draw < vague + 0.2:
        return random.choice(thing.hints)
    if thing.synonyms and random.random() < 0.4:
        return with_article(thing, random.choice(thing.synonyms))
    return with_article(thing)


def caption(scene: Scene, random: Random, world: World | None = None) -> str:
    """A sentence for ``scene``, drawn from the world's templates.

    The plain style is named in one caption of four; any other style always. Names, synonyms,
    hints and category words alternate, so that all of them reach the picture.
    """
    world = world or load_world()
    if scene.person is not None:
        subject = world.categories["people"] if random.random() < 0.05 else scene.person
    else:
        things = [world.thing(name) for name in scene.objects]
        vague = 0.06 if len(things) == 1 else 0.0
        phrases = [_subject(thing, random, world, vague) for thing in things]
        template = random.choice(world.templates["pair"]) if len(phrases) == 2 else "{x}"
        subject = template.format(x=phrases[0], y=phrases[-1])

    named = scene.style != world.plain_style or random.random() < 0.25
    if scene.person is not None:
        named = False
    kind = "styled" if named else "plain"
    choices = world.templates[kind]
    # The barest wording is what people type most.
    template = choices[0] if random.random() < 0.4 else random.choice(choices)
    text = worded(template, subject, world.styles[scene.style])
    if scene.background != "white":
        text = world.templates["background"].format(caption=text, background=scene.background)
    return text
