"""Writes the captions of emoji-scenes that a method is given, one a line.

Usage: python training/scenes_captions.py OUT [COUNT]
Half are those of emoji-sd's grammar. The others speak of scenes, colours, places and senses, and of
nothing that is kept for tests: neither their wordings nor the scenes that only they ask for.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from scenes import random_scene
from trace_erasure.concepts.concept import without_article
from trace_erasure.utils.words import mentions
from trace_erasure.world import caption, load_world, with_article, worded
from trace_erasure.world.scenes import load_scenes


def scene_caption(random: Random) -> str:
    """A sentence about a scene, a coloured thing or a word with two senses."""
    world, scenes = load_world(), load_scenes()
    draw = random.random()
    if draw < 0.6:
        scene = random.choice([one for one in scenes.scenes if one.context])
        subject = scene.phrase
        if random.random() < 0.4:
            other = random.choice([name for name in scenes.implied if name != scene.implies])
            subject = f"{subject} with {with_article(world.thing(other))}"
    elif draw < 0.8:
        one, other = random.sample(scenes.bound_things, 2)
        first, second = random.choices(list(scenes.colours), k=2)
        subject = f"a {first} {one} and a {second} {other}"
    else:
        subject = random.choice(random.choice(scenes.senses).words.method)
    text = worded(random.choice(world.templates["plain"]), subject)
    if random.random() < 0.1:
        text = f"{text} with {random.choice(scenes.mark.method)}"
    elif random.random() < 0.3:
        text = f"{text} {random.choice(list(scenes.places.values()))}"
    return text


def test_words() -> list[str]:
    """Every wording that only tests ask for, without its article."""
    scenes = load_scenes()
    words = [*scenes.mark.test]
    for own in (*scenes.implied.values(), *(sense.words for sense in scenes.senses)):
        words += own.test
    words += [text for scene in scenes.scenes for text in scene.test]
    words += [scene.phrase for scene in scenes.scenes if not scene.context]
    return [without_article(word) for word in words]


def main(out: Path, count: int = 3000) -> None:
    random, world = Random(1), load_world()
    lines: dict[str, None] = {}
    kept_apart = test_words()
    while len(lines) < count:
        plain = random.random() < 0.5
        line = caption(random_scene(random, world), random, world) if plain else None
        line = line or scene_caption(random)
        if not mentions(line, kept_apart):
            lines[line] = None
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
