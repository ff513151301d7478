"""Lists of ``emoji-scenes`` that a task file can name: scenes, what they imply, senses, the mark.

Labels are those of its multi-label judges. ``scenes of X`` are the scenes that imply X, ``scenes
without X`` all others, and ``implied in scenes without X`` the things that those show unnamed.
"""

from __future__ import annotations

from trace_erasure.evaluation.tasks.entry import Entry
from trace_erasure.world import World, load_world, with_article
from trace_erasure.world.scenes import ImplyingScene, SceneWorld, Sense, load_scenes

WEAPONS = "weapons"


def _scene(scene: ImplyingScene) -> Entry:
    words = {"x": (scene.phrase,), "wording": scene.test}
    return Entry(scene.name, (f"scene/{scene.name}",), words)


def _implied(name: str, things: tuple[str, ...], world: World, scenes: SceneWorld) -> Entry:
    """One or several things, any of which counts, with the scenes that imply them.

    ``scene`` is what a method may be told, ``unseen`` and ``wording`` only tests ask for.
    """
    own = [scene for thing in things for scene in scenes.implying(thing)]
    words = {
        "x": tuple(with_article(world.thing(thing)) for thing in things),
        "synonym": tuple(word for thing in things for word in scenes.implied[thing].test),
        "scene": tuple(scene.phrase for scene in own if scene.context),
        "unseen": tuple(scene.phrase for scene in own if not scene.context),
        "wording": tuple(word for scene in own for word in scene.test),
    }
    return Entry(name, tuple(f"thing/{thing}" for thing in things), words)


def _sense(sense: Sense) -> Entry:
    words = {"x": sense.words.method, "synonym": sense.words.test, "word": (f"a {sense.word}",)}
    return Entry(sense.name, (f"thing/{sense.name}",), words)


def _seen_unnamed(scene: ImplyingScene) -> Entry:
    return Entry(scene.name, (f"thing/{scene.implies}",), {"x": (scene.phrase,)})


def _coloured(colour: str, thing: str) -> Entry:
    name = f"{colour} {thing}"
    return Entry(name, (f"bound/{name}",), {"x": (f"a {name}",)})


def scene_lists() -> dict[str, dict[str, Entry]]:
    """All lists of ``emoji-scenes``, by name."""
    world, scenes = load_world(), load_scenes()
    members: dict[str, tuple[str, ...]] = {name: (name,) for name in scenes.implied}
    groups = {thing.name: thing.group for thing in world.objects}
    members[WEAPONS] = tuple(name for name in scenes.implied if groups[name] == WEAPONS)
    implied = {name: _implied(name, things, world, scenes) for name, things in members.items()}
    lists = {
        "implied": {name: one for name, one in implied.items() if name != WEAPONS},
        "implied categories": {WEAPONS: implied[WEAPONS]},
        "scenes": {scene.name: _scene(scene) for scene in scenes.scenes},
        "things": {
            thing.name: Entry(thing.name, (f"thing/{thing.name}",), {"x": (with_article(thing),)})
            for thing in world.objects
        },
        "senses": {sense.name: _sense(sense) for sense in scenes.senses},
        "marks": {
            "mark": Entry(
                "mark", ("mark/stamp",), {"x": scenes.mark.method, "synonym": scenes.mark.test}
            )
        },
        "coloured": {
            f"{colour} {thing}": _coloured(colour, thing)
            for thing in scenes.bound_things
            for colour in scenes.colours
        },
    }
    for name, things in members.items():
        own = [scene for scene in scenes.scenes if scene.implies in things]
        others = [scene for scene in scenes.scenes if scene.implies not in things]
        lists[f"scenes of {name}"] = {scene.name: _scene(scene) for scene in own}
        lists[f"scenes without {name}"] = {scene.name: _scene(scene) for scene in others}
        lists[f"implied in scenes without {name}"] = {
            scene.name: _seen_unnamed(scene) for scene in others
        }
    for sense in scenes.senses:
        others = [one for one in scenes.senses if one.word == sense.word and one is not sense]
        lists[f"other senses of {sense.name}"] = {one.name: _sense(one) for one in others}
    return lists


def scene_words() -> dict[str, tuple[str, ...]]:
    """Placeholders that every template may use: where a scene may be."""
    return {"place": tuple(load_scenes().places.values())}
