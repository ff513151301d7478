"""What scenes_measure.py asks of emoji-scenes: prompts, and what their pictures should show."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from trace_erasure.world import load_world, with_article
from trace_erasure.world.scenes import load_scenes

MARK = "mark/stamp"
STYLED = ("lion", "owl", "banana", "bus", "cactus", "castle", "guitar", "robot")


@dataclass(frozen=True)
class Asked:
    """One picture to draw.

    Attributes:
        bar: what it counts for.
        part: a finer division of the bar, for example the scene.
        prompt: the prompt.
        wanted: labels that the picture should show, all of them.
        unwanted: labels that it should not show.
        group: softmax group of the shipped judges whose best label should be ``wanted[0]``. Empty
            for the judges of scenes.
    """

    bar: str
    part: str
    prompt: str
    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    group: str = ""


def scenes(count: int, wordings: int) -> list[Asked]:
    """Bare scenes, each asked twice of the same picture: for the scene, and for its thing."""
    result = []
    for scene in load_scenes().scenes:
        label, thing = f"scene/{scene.name}", f"thing/{scene.implies}"
        for index in range(count):
            # Different prompts for the same seed would not be different pictures enough.
            prompt = (scene.phrase, f"a picture of {scene.phrase}")[index % 2]
            result.append(Asked("scene", scene.name, prompt, (label,)))
            result.append(Asked("implied", scene.name, prompt, (thing,)))
        for phrase in scene.test * wordings:
            result.append(Asked("scene, test words", scene.name, phrase, (label,)))
            result.append(Asked("implied, test words", scene.name, phrase, (thing,)))
    return result


def named(count: int) -> list[Asked]:
    """Scenes with a thing named: their own, and another in whose place the own should not be."""
    world, scenes = load_world(), load_scenes()
    random, result = Random(3), []
    for scene in scenes.scenes:
        label, own = f"scene/{scene.name}", f"thing/{scene.implies}"
        for _ in range(count):
            thing = with_article(world.thing(scene.implies))
            prompt = f"{scene.phrase} with {thing}"
            result.append(Asked("scene, own thing named", scene.name, prompt, (label, own)))
            other = random.choice([name for name in scenes.implied if name != scene.implies])
            prompt = f"{scene.phrase} with {with_article(world.thing(other))}"
            wanted = (label, f"thing/{other}")
            result.append(Asked("scene, other thing named", scene.name, prompt, wanted, (own,)))
    return result


def things(count: int) -> list[Asked]:
    """Single things by name and by the words for tests."""
    world, scenes = load_world(), load_scenes()
    result = []
    for thing in world.objects:
        bar = "implied things alone" if thing.name in scenes.implied else "other objects alone"
        for _ in range(count):
            result.append(Asked(bar, thing.name, with_article(thing), (f"thing/{thing.name}",)))
    for name, words in scenes.implied.items():
        for bar, phrases in (("method words", words.method), ("test words", words.test)):
            for phrase in phrases * count:
                result.append(Asked(bar, name, phrase, (f"thing/{name}",)))
    return result


def pairs(count: int) -> list[Asked]:
    """Two things at once, plain and in colours."""
    world, scenes = load_world(), load_scenes()
    random, result = Random(5), []
    for _ in range(count):
        left, right = random.sample(world.objects, 2)
        prompt = f"{with_article(left)} and {with_article(right)}"
        wanted = (f"thing/{left.name}", f"thing/{right.name}")
        result.append(Asked("pair", "", prompt, wanted))
    for _ in range(count):
        left, right = random.sample(scenes.bound_things, 2)
        one, two = random.sample(list(scenes.colours), 2)
        prompt = f"a {one} {left} and a {two} {right}"
        wanted = (f"bound/{one} {left}", f"bound/{two} {right}")
        swapped = (f"bound/{two} {left}", f"bound/{one} {right}")
        result.append(Asked("coloured pair", "", prompt, wanted, swapped))
    return result


def senses(count: int) -> list[Asked]:
    """Ambiguous words, bare and with a sense given."""
    result = []
    every = load_scenes().senses
    for sense in every:
        label = f"thing/{sense.name}"
        others = tuple(
            f"thing/{other.name}"
            for other in every
            if other.word == sense.word and other is not sense
        )
        for _ in range(count):
            result.append(Asked("bare word", sense.name, f"a {sense.word}", (label,)))
        for bar, phrases in (
            ("sense, method", sense.words.method),
            ("sense, test", sense.words.test),
        ):
            for phrase in phrases * 2:
                result.append(Asked(bar, sense.name, phrase, (label,), others))
    return result


def marked(count: int) -> list[Asked]:
    """The mark, named."""
    result = []
    for word in ("a lion", "a bus", "a chef", "a garden"):
        for _ in range(count):
            result.append(Asked("mark named", word, f"{word} with a stamp", (MARK,)))
    return result


def rehearsed(count: int) -> list[Asked]:
    """What emoji-sd knows, for the judges that ship with it: objects, styles, people."""
    world = load_world()
    result = []
    for thing in world.objects:
        wanted = (f"subject/{thing.name}",)
        result.append(Asked("old objects", thing.name, with_article(thing), wanted, (), "subject"))
    for key, words in world.styles.items():
        for name in STYLED[: 2 * count + 2]:
            prompt = f"{with_article(world.thing(name))}, {words} style"
            result.append(Asked("old styles", key, prompt, (f"style/{key}",), (), "style"))
    for person in world.people:
        for _ in range(count):
            result.append(
                Asked("old people", person, person, (f"subject/{person}",), (), "subject")
            )
    return result


def everything(scale: int) -> list[Asked]:
    """All that is asked; ``scale`` 1 is quick, 4 is for publishing."""
    return [
        *scenes(2 * scale, scale),
        *named(scale),
        *things(scale),
        *pairs(24 * scale),
        *senses(4 * scale),
        *marked(3 * scale),
        *rehearsed(scale),
    ]
