"""Lists of things that a task file can name, each with its wordings and its judge labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trace_erasure.utils.words import indefinite_article
from trace_erasure.world import World, load_world, with_article
from trace_erasure.world.vocabulary import Thing


@dataclass(frozen=True)
class Entry:
    """Something that can be erased, retained or placed beside.

    Attributes:
        name: its key in the list.
        expects: judge labels that mean it is there.
        words: placeholder to the wordings that may fill it.
    """

    name: str
    expects: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


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
    """``objects``, ``categories``, ``people`` and ``styles`` of the embedded world, by name."""
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
    }


def shared_words() -> dict[str, tuple[str, ...]]:
    """Placeholders that every template may use: the named styles and the coloured grounds."""
    world = load_world()
    styles = [_style_words(world.styles[key]) for key in world.named_styles]
    return {
        "style": tuple(words["style"][0] for words in styles),
        "a_style": tuple(words["a_style"][0] for words in styles),
        "background": tuple(name for name in world.backgrounds if name != "white"),
    }
