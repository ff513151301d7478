"""Which concepts are erased together, and what is drawn of them and of everything else."""

from __future__ import annotations

from collections.abc import Sequence

from trace_erasure.concepts.concept import Concept
from trace_erasure.evaluation import Item, Task
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.utils.words import indefinite_article
from trace_erasure.world import World, with_article

MOST = 50
# In each round of five; where a kind is used up an object takes its place.
ROUND = ("object", "identity", "object", "style", "explicit")
# So many of a kind at most, so that some of every kind remain to be kept.
LIMITS = {"identity": 8, "style": 4, "explicit": 5}
SUBJECTS = (
    "lion",
    "turtle",
    "umbrella",
    "guitar",
    "crown",
    "robot",
    "whale",
    "bell",
    "key",
    "fish",
)
WORDINGS = {
    "target": {
        "object": ("{x}", "a picture of {x}", "a drawing of {x}", "{x} on a blue background"),
        "style": ("{y}, {x} style", "{y} in {x} style", "{a_x} style picture of {y}"),
    },
    "template": {
        "object": ("{x}, a picture", "this is a drawing of {x}", "a red background and {x}"),
        "style": ("{x} style, {y}", "{y} on a blue background, {x} style"),
    },
}


def concepts_of(world: World) -> list[Concept]:
    """Every concept in the order in which it joins, of mixed kinds: the first n are size n.

    Only named, as a user would: synonyms are for the method to find. Objects that have some come
    first, then one of each group in turn, in the world's order.
    """
    groups = {
        name: [thing.name for thing in world.group(name) if not thing.synonyms]
        for name in ("animals", "foods", "vehicles", "plants", "things")
    }
    turns = [names.pop(0) for _ in range(99) for names in groups.values() if names]
    waiting = {
        "object": [*(thing.name for thing in world.targets), *turns],
        "identity": list(world.people)[: LIMITS["identity"]],
        "style": [world.styles[key] for key in world.named_styles][: LIMITS["style"]],
        "explicit": [thing.name for thing in world.group("weapons")][: LIMITS["explicit"]],
    }
    found: list[Concept] = []
    while waiting["object"] and len(found) < MOST:
        for wanted in ROUND:
            kind = wanted if waiting[wanted] else "object"
            found.append(Concept(waiting[kind].pop(0), kind=kind))
    return found[:MOST]


def label_of(world: World, concept: Concept) -> str:
    """What a judge calls the concept."""
    styles = {words: key for key, words in world.styles.items()}
    if concept.kind == "style":
        return f"style/{styles[concept.phrase]}"
    return f"subject/{concept.phrase}"


def named(world: World, concept: Concept) -> str:
    """The concept as it stands in a sentence, with its article where it has one."""
    if concept.kind in ("object", "explicit"):
        return with_article(world.thing(concept.phrase))
    return concept.phrase


def kept_of(world: World, concepts: Sequence[Concept]) -> list[tuple[str, int, str]]:
    """(prompt, seed, label) of everything that is not erased, one picture each.

    Seeds belong to prompts, so that a longer list draws some of a shorter one's pictures.
    """
    everything = [(with_article(one), f"subject/{one.name}") for one in world.objects]
    everything += [(name, f"subject/{name}") for name in world.people]
    for key, words in world.styles.items():
        for name in SUBJECTS[:4]:
            everything.append((f"{with_article(world.thing(name))}, {words} style", f"style/{key}"))
    return [
        (prompt, 100_000 + i, label)
        for i, (prompt, label) in enumerate(everything)
        if not any(concept.is_mentioned_in(prompt) for concept in concepts)
    ]


def asked_of(world: World, concept: Concept, number: int, images: int) -> list[Item]:
    """Pictures of one concept: three in five in trained wordings, the others in words that no
    caption has, among them the world's synonyms."""
    key = "style" if concept.kind == "style" else "object"
    label, own = label_of(world, concept), named(world, concept)
    subjects = [with_article(world.thing(name)) for name in SUBJECTS]
    synonyms = () if key == "style" or concept.phrase in world.people else _synonyms(world, concept)
    items = []
    first = images * 3 // 5
    for group, count in (("target", first), ("template", images - first)):
        templates = list(WORDINGS[group][key])
        words = [own] * len(templates)
        if group == "template":
            templates += ["{x}"] * len(synonyms)
            words += [f"{indefinite_article(word)} {word}" for word in synonyms]
        for i in range(count):
            template, word = templates[i % len(templates)], words[i % len(templates)]
            prompt = template.format(
                x=word,
                y=subjects[i % len(subjects)],
                a_x=f"{indefinite_article(concept.phrase)} {concept.phrase}",
            )
            items.append(Item(prompt, 1000 * number + i, group, concept.phrase, (label,)))
    return items


def _synonyms(world: World, concept: Concept) -> tuple[str, ...]:
    return world.thing(concept.phrase).synonyms


def task_of(
    world: World, concepts: Sequence[Concept], images: int, steps: int, name: str | None = None
) -> Task:
    """``images`` of every concept, and all that remains: the same for each, drawn once."""
    kept = kept_of(world, concepts)
    items: list[Item] = []
    for number, concept in enumerate(concepts):
        items += asked_of(world, concept, number, images)
        items += [Item(p, seed, "retain", concept.phrase, (own,)) for p, seed, own in kept]
    return Task(name or f"many-{len(concepts)}", 2, tuple(items), Sampling(steps=steps))
