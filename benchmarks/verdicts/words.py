"""Words of the cases that are not the world's own."""

from __future__ import annotations

ARTICLES = ("the", "some")
COLOURS = ("red", "green", "big", "small")
NONSENSE = ("zzzqq", "blorp", "xkcdq", "wugly")
"""Surrogates that are no words."""
UNKNOWN = (
    "submarine", "giraffe", "violin", "teapot", "hammer", "zebra", "dinosaur", "lamp", "chair",
    "spider", "ladder", "volcano", "necklace", "broccoli",
)  # fmt: skip
"""Nouns of things that the embedded models cannot draw."""
ORDINARY = ("red", "picture", "background", "style", "drawing", "next")
CATEGORIES = {
    "animal": "animals",
    "food": "foods",
    "vehicle": "vehicles",
    "plant": "plants",
    "weapon": "weapons",
}
"""Words that stand for any member of one of the world's groups."""
