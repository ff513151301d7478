"""Templates for prompts of a concept, by its kind: of the embedded world, and of photographs."""

from __future__ import annotations

# {x} is the concept. The first is the barest. Wordings are everyday ones; the closed form needs
# few, because the directions that carry a concept are shared by its sentences.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "object": (
        "{x}",
        "a {x}",
        "a picture of a {x}",
        "an image of a {x} on a blue background",
        "a {x} and a tree",
        "a house next to a {x}",
        "a {x}, pixel art style",
        "a drawing of a {x}",
    ),
    "style": (
        "{x}",
        "a house, {x} style",
        "a cat in {x} style",
        "a {x} style picture of a tree",
        "a flower and a car, {x} style",
        "a {x} style drawing of a bird",
        "an apple in {x} style on a red background",
    ),
    "identity": (
        "{x}",
        "a picture of {x}",
        "an image of {x} on a blue background",
        "a drawing of {x}",
        "{x} next to a tree",
        "this is {x} on a white background",
    ),
}
TEMPLATES["explicit"] = TEMPLATES["object"]

PHOTO_TEMPLATES: dict[str, tuple[str, ...]] = {
    "object": (
        "{x}",
        "a {x}",
        "a photo of a {x}",
        "a picture of a {x} in the street",
        "a {x} and a tree",
        "a person next to a {x}",
        "a painting of a {x}",
        "a close up of a {x} on a table",
    ),
    "style": (
        "{x}",
        "a house, {x} style",
        "a cat in {x} style",
        "a {x} style painting of a tree",
        "a street with cars in {x} style",
        "a portrait of a woman in the style of {x}",
    ),
    "identity": (
        "{x}",
        "a photo of {x}",
        "a portrait of {x} in the street",
        "a painting of {x}",
        "{x} sitting next to a tree",
        "this is {x} with a dog",
    ),
}
"""The same for models of the real world."""
PHOTO_TEMPLATES["explicit"] = PHOTO_TEMPLATES["object"]

# Sentences for a concept that is erased beside {y} only. In both orders: an encoder that looks
# backwards puts what is said of the two together behind the later one.
TOGETHER: dict[str, tuple[str, ...]] = {
    "object": (
        "a {y} and a {x}",
        "a {x} and a {y}",
        "a {y} next to a {x}",
        "a {x} next to a {y}",
        "a picture of a {y} and a {x}",
        "a picture of a {x} and a {y}",
        "a drawing of a {y} next to a {x}",
        "a drawing of a {x} next to a {y}",
    ),
    "style": (
        "a {y}, {x} style",
        "a {y} in {x} style",
        "a {x} style picture of a {y}",
        "a {x} style drawing of a {y}",
        "a {y}, {x} style on a blue background",
    ),
    "identity": (
        "{x} and a {y}",
        "a {y} and {x}",
        "a picture of {x} and a {y}",
        "a picture of a {y} and {x}",
        "{x} next to a {y}",
    ),
}
TOGETHER["explicit"] = TOGETHER["object"]

# A prompt {y} that does not name the concept, with the concept named in it.
NAMED_IN: dict[str, str] = {
    "object": "{y} with a {x}",
    "style": "{y}, {x} style",
    "identity": "{y} with {x}",
}
NAMED_IN["explicit"] = NAMED_IN["object"]

HELD_OUT: dict[str, tuple[str, ...]] = {
    "object": (
        "this is a {x}",
        "a {x} next to a house",
        "a drawing of a {x} on a green background",
    ),
    "style": ("a bird in {x} style", "a {x} style picture of a boat"),
    "identity": ("this is {x}", "an image of {x} on a green background"),
}
"""Templates that no solve sees; they measure how far the edit generalizes."""
HELD_OUT["explicit"] = HELD_OUT["object"]
PHOTO_HELD_OUT: dict[str, tuple[str, ...]] = {
    "object": ("this is a {x}", "a {x} in front of a building", "a man looking at a {x}"),
    "style": ("a bird in {x} style", "a {x} style picture of a boat"),
    "identity": ("this is {x}", "{x} standing in a kitchen"),
}
PHOTO_HELD_OUT["explicit"] = PHOTO_HELD_OUT["object"]
HELD_OUT_COMBINED: dict[str, tuple[str, ...]] = {
    "object": ("this is a {y} and a {x}", "an image of a {x} next to a {y}"),
    "style": ("a drawing of a {y}, {x} style", "a {y} in {x} style on a green background"),
    "identity": ("this is {x} and a {y}", "a drawing of a {y} next to {x}"),
}
"""The same for a concept that is erased beside another thing only."""
HELD_OUT_COMBINED["explicit"] = HELD_OUT_COMBINED["object"]


def usual_templates(kind: str, shipped: bool) -> tuple[str, ...]:
    """Templates of the shipped models, or of models of the real world."""
    return (TEMPLATES if shipped else PHOTO_TEMPLATES)[kind]


def held_out_templates(kind: str, shipped: bool, combined: bool = False) -> tuple[str, ...]:
    """The same, of those that no solve sees; ``combined`` for a concept beside another thing."""
    return (HELD_OUT_COMBINED if combined else HELD_OUT if shipped else PHOTO_HELD_OUT)[kind]
