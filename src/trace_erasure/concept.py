"""What to erase, what to put in its place, what to keep; and the prompts that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from trace_erasure.errors import InputError

KINDS = ("object", "style", "identity", "explicit")

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


@dataclass(frozen=True)
class Concept:
    """A concept to erase.

    Attributes:
        phrase: the word or words, without an article: ``fox``, ``Van Gogh``, ``Mira Solberg``.
        surrogate: what prompts should give instead; None proposes one and says which.
        kind: one of ``KINDS``; chooses the templates and how captions are searched for it.
        synonyms: further phrases for the same concept, erased with it.
        descriptions: wordings that never name it ("a round thing with a lit fuse"), erased by the
            finetune alone: to redirect their words would be to redirect ordinary words.
        retain: phrases that must stay, beside those that are found automatically.
        templates: sentences with ``{x}`` in the concept's place; default by kind.
    """

    phrase: str
    surrogate: str | None = None
    kind: str = "object"
    synonyms: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    retain: tuple[str, ...] = ()
    templates: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not self.phrase.strip():
            raise InputError("the concept is empty. Name what to erase, for example 'fox'.")
        if self.kind not in KINDS:
            raise InputError(
                f"unknown concept kind {self.kind!r}. Choose one of: {', '.join(KINDS)}."
            )
        if self.surrogate is not None and self.surrogate.lower() == self.phrase.lower():
            raise InputError(
                f"concept and surrogate are both {self.phrase!r}: nothing would change. "
                "Choose another surrogate, or none to have one proposed."
            )
        for template in self.templates:
            if "{x}" not in template:
                raise InputError(f"template {template!r} has no {{x}} where the concept goes.")
        for name in ("synonyms", "descriptions", "retain", "templates"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def phrases(self) -> tuple[str, ...]:
        """The phrase and its synonyms."""
        return (self.phrase, *self.synonyms)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The templates in use."""
        return self.templates or TEMPLATES[self.kind]


def fill(template: str, phrase: str) -> str:
    """``template`` with ``phrase`` in place of ``{x}``, with ``a`` made ``an`` where needed."""
    vowel = phrase[:1].lower() in "aeiou"
    for before, after in ((" a {x}", " an {x}"), ("a {x}", "an {x}")):
        if vowel and (before in template if before[0] == " " else template.startswith(before)):
            template = template.replace(before, after, 1)
            break
    return template.replace("{x}", phrase)


def prompts(concept: Concept, phrases: Sequence[str] | None = None) -> list[str]:
    """Every sentence of the concept with every phrase in it."""
    return [fill(t, p) for p in (phrases or concept.phrases) for t in concept.sentences]


def mentions(text: str, phrases: Sequence[str]) -> bool:
    """Whether ``text`` has one of ``phrases`` as whole words: ``car`` is not in ``cartoon``."""
    return any(re.search(rf"\b{re.escape(phrase)}\b", text, re.IGNORECASE) for phrase in phrases)
