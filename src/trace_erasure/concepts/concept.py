"""What to erase, what to put in its place, what to keep; and the prompts that say so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from trace_erasure.concepts.inflections import without_possessive
from trace_erasure.concepts.kinds import AUTO, KINDS, kind_of
from trace_erasure.concepts.masking import digest
from trace_erasure.concepts.templates import TEMPLATES, TOGETHER
from trace_erasure.errors import InputError, shown
from trace_erasure.utils.numbers import check_flag
from trace_erasure.utils.words import (
    check_phrase,
    check_phrases,
    find_phrase,
    fold,
    indefinite_article,
    mentions,
    normalise,
)

PROBE = "phrase"
"""Stands in a template's place while the template is checked."""
ARTICLE = re.compile(r"(?:[Aa]n?|[Tt]he) (?=[^A-Z\s])")


@dataclass(frozen=True)
class Concept:
    """A concept to erase.

    Attributes:
        phrase: the word or words, without an article: ``fox``, ``Van Gogh``, ``Mira Solberg``.
        surrogate: what prompts should give instead; None proposes one and says which.
        kind: one of ``KINDS``; chooses the templates and how captions are searched for it.
            ``auto`` takes it from the phrase, see ``kinds.kind_of``.
        synonyms: further phrases for the same concept, erased with it.
        descriptions: wordings that never name it ("a round thing with a lit fuse"). Their words
            are ordinary ones, so the closed form redirects only what leads in each.
        retain: phrases of the same kind that must stay, beside those that are found automatically.
        templates: sentences with ``{x}`` in the concept's place; default by kind.
        only_with: erase the concept in sentences that name this, too, and nowhere else: ``knife``
            only with ``clown``, style ``ink`` only with ``fox``. Each alone stays. Templates then
            have a ``{y}`` for it.
        sensitive: its words are kept from logs, titles and reports; digests stand for them.

    Phrases are normalised: stripped, single spaces; names of objects lose their article and a
    possessive 's. Case makes no difference where they are compared.

    Raises:
        InputError: a field is empty, of another type, or contradicts another.

    >>> concept = Concept(" fox ", surrogate="dog", synonyms=["vixen", "Vixen"])
    >>> concept.phrase, concept.synonyms
    ('fox', ('vixen',))
    >>> concept.is_mentioned_in("a picture of a Fox"), concept.is_mentioned_in("a foxglove")
    (True, False)
    """

    phrase: str
    surrogate: str | None = None
    kind: str = AUTO
    synonyms: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    retain: tuple[str, ...] = ()
    templates: tuple[str, ...] = field(default=())
    only_with: str | None = None
    sensitive: bool = False

    def __post_init__(self) -> None:
        if self.kind not in (*KINDS, AUTO):
            raise InputError(
                f"unknown concept kind {shown(self.kind)}. "
                f"Choose one of: {', '.join(KINDS)}; or {AUTO}."
            )
        if isinstance(self.phrase, str) and not normalise(self.phrase):
            raise InputError("the concept is empty. Name what to erase, for example 'fox'.")
        for name in ("phrase", "surrogate", "only_with"):
            value = getattr(self, name)
            if value is not None or name == "phrase":
                object.__setattr__(self, name, check_phrase(value, f"concept.{name}"))
        for name in ("synonyms", "descriptions", "retain"):
            values = check_phrases(getattr(self, name), f"concept.{name}")
            object.__setattr__(self, name, values)
        if self.kind == AUTO:
            object.__setattr__(self, "kind", kind_of(self.phrase))
        if self.kind in ("object", "explicit"):
            self._take_articles_off()
        check_flag("concept.sensitive", self.sensitive)
        object.__setattr__(self, "templates", self._checked_templates())
        self._check_conflicts()

    def _take_articles_off(self) -> None:
        """Templates have articles of their own."""
        object.__setattr__(self, "phrase", without_possessive(without_article(self.phrase)))
        for name in ("surrogate", "only_with"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, without_article(value))
        for name in ("synonyms", "descriptions", "retain"):
            bare = dict.fromkeys(map(without_article, getattr(self, name)))
            object.__setattr__(self, name, tuple(bare))

    def _checked_templates(self) -> tuple[str, ...]:
        check_phrases(self.templates, "concept.templates")
        places = ("{x}",) if self.only_with is None else ("{x}", "{y}")
        for template in self.templates:
            for place in places:
                what = "the concept" if place == "{x}" else repr(self.only_with)
                if place not in template:
                    raise InputError(
                        f"template {shown(template)} has no {place} where {what} goes."
                    )
                if len(find_phrase(template.replace(place, PROBE), PROBE)) < template.count(place):
                    raise InputError(
                        f"template {shown(template)} has letters next to {place}. Leave a space, "
                        f"so that {what} is a word of its own."
                    )
        return tuple(self.templates)

    def _check_conflicts(self) -> None:
        """Raises ``InputError`` where two fields contradict each other."""
        if self.surrogate is not None:
            if fold(self.surrogate) == fold(self.phrase):
                raise InputError(
                    f"concept and surrogate are both {self.phrase!r}: nothing would change. "
                    "Choose another surrogate, or none to have one proposed."
                )
            if mentions(self.surrogate, self.phrases):
                raise InputError(
                    f"the surrogate {self.surrogate!r} names the concept {self.phrase!r} or a "
                    "synonym: it would still be shown. Choose another surrogate, or none to have "
                    "one proposed."
                )
        if self.only_with is not None:
            if mentions(self.only_with, self.phrases):
                raise InputError(
                    f"{self.phrase!r} only with {self.only_with!r} is one and the same. "
                    "Name another thing, or leave only_with out."
                )
            return
        own = {fold(phrase) for phrase in self.phrases}
        for phrase in self.retain:
            if fold(phrase) in own:
                raise InputError(
                    f"{phrase!r} is to be erased and to be retained. Choose one of the two."
                )

    @property
    def phrases(self) -> tuple[str, ...]:
        """The phrase and its synonyms."""
        return (self.phrase, *self.synonyms)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The templates in use: its own, or those of its kind that ``fit``."""
        defaults = TEMPLATES if self.only_with is None else TOGETHER
        return self.templates or self.fit(defaults[self.kind])

    def fit(self, templates: Sequence[str]) -> tuple[str, ...]:
        """The templates that name neither the concept nor its surrogate by themselves, or all
        where every one does.

        In ``a house next to a {x}`` a house has to stay and to go at once.
        """
        named = [*self.phrases, *filter(None, [self.surrogate])]
        fitting = tuple(template for template in templates if not mentions(template, named))
        return fitting or tuple(templates)

    @property
    def name(self) -> str:
        """For people: the phrase, or a digest of it, and what it is erased with."""
        named = digest(self.phrase) if self.sensitive else self.phrase
        return named if self.only_with is None else f"{named} with {self.only_with}"

    def wordings(
        self, templates: Sequence[str] | None = None, phrases: Sequence[str] | None = None
    ) -> tuple[tuple[str, str], ...]:
        """(sentence with ``{x}``, what its ``{x}`` stands for and the surrogate replaces).

        By default the concept's own sentences, with each of its own phrases.
        Beside another thing, the later of two objects is the one that is replaced: the words
        before it are those of a sentence that has to stay.
        """
        found = []
        for phrase in self.phrases if phrases is None else phrases:
            for template in templates or self.sentences:
                if self.only_with is None:
                    found.append((template, phrase))
                elif self.kind in ("object", "explicit") and _later(template, "{y}", "{x}"):
                    swapped = fill_template(template, phrase).replace("{y}", "{x}")
                    found.append((swapped, self.only_with))
                else:
                    found.append((fill_template(template, self.only_with, "{y}"), phrase))
        return tuple(found)

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for concepts that are one and the same, however they are written."""
        return tuple(fold(part) for part in (self.phrase, self.only_with) if part is not None)

    def is_mentioned_in(self, text: str) -> bool:
        """Whether ``text`` asks for the concept, by one of its phrases."""
        other = self.only_with is None or mentions(text, [self.only_with])
        return other and mentions(text, (*self.phrases, *self.descriptions))


@dataclass(frozen=True)
class ResolvedConcept(Concept):
    """A concept whose surrogate is known; the other fields are as in ``Concept``.

    >>> ResolvedConcept("fox", surrogate="dog").surrogate
    'dog'
    """

    surrogate: str  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.surrogate is None:
            raise InputError(
                f"{self.phrase!r} has no surrogate. Name one, such as "
                f"Concept({self.phrase!r}, surrogate='cat')."
            )
        super().__post_init__()

    def plain(self) -> Concept:
        """The same as a ``Concept``, as settings and records hold it."""
        return Concept(**{field.name: getattr(self, field.name) for field in fields(self)})

    def unresolved(self) -> Concept:
        """The concept with its surrogate left open."""
        return replace(self.plain(), surrogate=None)

    @classmethod
    def of(cls, concept: Concept, surrogate: str | None = None) -> ResolvedConcept:
        """``concept`` with ``surrogate``, by default its own.

        Raises ``InputError`` where neither names one.
        """
        values = {field.name: getattr(concept, field.name) for field in fields(concept)}
        return cls(**{**values, "surrogate": surrogate or concept.surrogate})


def without_article(phrase: str) -> str:
    """``phrase`` without an article; *A Bug's Life* and *a* have none."""
    return ARTICLE.sub("", phrase, count=1) if ARTICLE.match(phrase) else phrase


def _later(template: str, first: str, second: str) -> bool:
    return template.find(first) > template.find(second)


def fill_template(template: str, phrase: str, place: str = "{x}") -> str:
    """``template`` with ``phrase`` in its ``place``, with ``a`` made ``an`` where needed.

    >>> fill_template("a picture of a {x}", "owl")
    'a picture of an owl'
    """
    if indefinite_article(phrase) == "an":
        template = re.sub(rf"\b([Aa]) (?={re.escape(place)})", r"\1n ", template)
    return template.replace(place, phrase)


def single_mention_prompts(concept: Concept) -> list[str]:
    """For a concept that is erased beside another thing only: sentences with one of the two,
    by itself and beside what is to be retained."""
    other = concept.only_with
    assert other is not None
    found = [
        fill_template(t, phrase) for phrase in concept.phrases for t in TEMPLATES[concept.kind]
    ]
    found += [fill_template(t, other) for t in TEMPLATES["object"]]
    for word in concept.retain:
        for template in TOGETHER[concept.kind][:2]:
            found.append(fill_template(fill_template(template, other, "{y}"), word))
            if concept.kind != "style":  # there, what is retained are styles
                found.append(fill_template(fill_template(template, word, "{y}"), concept.phrase))
    return found


def concept_prompts(concept: Concept) -> list[str]:
    """Every sentence of the concept with every phrase in it."""
    return [fill_template(template, phrase) for template, phrase in concept.wordings()]
