"""Templates for prompts of a concept, by its kind."""

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
