"""Lists of things that a task file can name, each with its wordings and its judge labels."""

from __future__ import annotations

from trace_erasure.evaluation.tasks.entry import Entry
from trace_erasure.evaluation.tasks.scene_lists import scene_lists, scene_words
from trace_erasure.utils.words import indefinite_article
from trace_erasure.world import World, load_world, with_article
from trace_erasure.world.vocabulary import Thing


def _object(thing: Thing, world: World) -> Entry:
    words = {
        "x": (with_article(thing),),
        "synonym": tuple(with_article(thing, word) for word in thing.synonyms),
        "hint": thing.hints,
        "category": (world.categories[thing.group],) if thing.group in world.categories else (),
    }
    return Entry(thing.name, (f"subject/{thing.name}",), words)


def _category(group: str, phrase: str, world: World) -> Entry:
    """A whole category as one concept: any member that is seen counts."""
    things = world.group(group)
    words = {
        "x": tuple(with_article(thing) for thing in things),
        "hint": tuple(hint for thing in things for hint in thing.hints),
        "category": (phrase,),
    }
    return Entry(group, tuple(f"subject/{thing.name}" for thing in things), words)


def _style_words(words: str) -> dict[str, tuple[str, ...]]:
    return {"style": (words,), "a_style": (f"{indefinite_article(words)} {words}",)}


def world_lists() -> dict[str, dict[str, Entry]]:
    """``objects``, ``categories``, ``people``, ``styles`` and the lists of scenes, by name."""
    world = load_world()
    return {
        "objects": {thing.name: _object(thing, world) for thing in world.objects},
        "categories": {
            group: _category(group, phrase, world)
            for group, phrase in world.categories.items()
            if world.group(group)
        },
        # A person's first or last name alone stands in for a synonym.
        "people": {
            name: Entry(name, (f"subject/{name}",), {"x": (name,), "synonym": tuple(name.split())})
            for name in world.people
        },
        "styles": {
            key: Entry(key, (f"style/{key}",), _style_words(words))
            for key, words in world.styles.items()
        },
        **scene_lists(),
    }


def shared_words() -> dict[str, tuple[str, ...]]:
    """Placeholders that every template may use: the named styles and the coloured grounds."""
    world = load_world()
    styles = [_style_words(world.styles[key]) for key in world.named_styles]
    return {
        "style": tuple(words["style"][0] for words in styles),
        "a_style": tuple(words["a_style"][0] for words in styles),
        "background": tuple(name for name in world.backgrounds if name != "white"),
        **scene_words(),
    }
