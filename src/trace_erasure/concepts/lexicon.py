"""English nouns and what is near them in meaning: WordNet 3.0, by ``training/lexicon.py``.

Plain look-ups, of data that ships with the package and is read on first use. Words are compared in
lower case; what is not in the lexicon has no relatives.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from trace_erasure.utils.words import fold

DATA = "trace_erasure.concepts.data"
DRAWN = frozenset(["05", "06", "08", "13", "17", "18", "19", "20", "25", "27"])
"""WordNet's files of what can be seen: animals, artefacts, bodies, foods, objects, persons,
phenomena, plants, shapes, substances."""
PERSON = "18"
SINGLE = "i"
MODIFIERS = ("colour", "size", "number")


@dataclass(frozen=True)
class Synset:
    """One meaning.

    Attributes:
        words: that share it, the commonest first.
        file: WordNet's file, two digits.
        single: whether it is one single thing or person, with a name of its own.
        above: what it is a kind of, as places in ``Lexicon.synsets``.
    """

    words: tuple[str, ...]
    file: str
    single: bool
    above: tuple[int, ...]


class Lexicon:
    """The word list.

    >>> lexicon = load_lexicon()
    >>> lexicon.hypernyms("fox"), "vixen" in lexicon.hyponyms("fox")
    (('canine', 'canid'), True)
    """

    def __init__(self, text: str) -> None:
        self._sections = {
            name: lines.split("\n") if lines else []
            for name, _, lines in (part.partition("\n") for part in text.split("\f"))
        }
        self._lines = self._sections["nouns"]
        self._first: dict[str, int] = {}
        for place, line in enumerate(self._lines):
            for word in line[: line.index("\t")].lower().split("|"):
                self._first.setdefault(word, place)

    @cached_property
    def _senses(self) -> dict[str, str]:
        return dict(line.split("\t") for line in self._sections["senses"])  # type: ignore[misc]

    @cached_property
    def _counts(self) -> dict[str, str]:
        return dict(line.split("\t") for line in self._sections["counts"])  # type: ignore[misc]

    @cached_property
    def _below(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for place, line in enumerate(self._lines):
            for parent in filter(None, line[line.rindex("\t") + 1 :].split(",")):
                found.setdefault(int(parent), []).append(place)
        return found

    @cached_property
    def _glosses(self) -> list[str]:
        data = files(DATA).joinpath("glosses.txt.xz").read_bytes()
        return lzma.decompress(data).decode().split("\n")

    @cached_property
    def plurals(self) -> dict[str, str]:
        """Irregular plurals to their singulars."""
        return dict(line.split("\t") for line in self._sections["plurals"])  # type: ignore[misc]

    @cached_property
    def _others(self) -> frozenset[str]:
        return frozenset((*self._sections["adjectives"], *self._sections["others"]))

    @cached_property
    def _modifiers(self) -> dict[str, str]:
        found = dict.fromkeys(self._sections["adjectives"], "adjective")
        return found | {word: kind for kind in MODIFIERS for word in self._sections[kind]}

    # Words ----------------------------------------------------------------------------------

    def __contains__(self, phrase: str) -> bool:
        """Whether ``phrase`` is a noun, or a single word of another kind."""
        word = fold(phrase)
        return word in self._first or word in self._others

    @property
    def nouns(self) -> Iterable[str]:
        """Every noun, in lower case."""
        return self._first.keys()

    def is_noun(self, phrase: str) -> bool:
        return fold(phrase) in self._first

    def frequency(self, phrase: str) -> int:
        """How often the noun stands in WordNet's tagged texts; 0 for most."""
        return int(self._counts.get(fold(phrase), 0))

    def modifier(self, word: str) -> str | None:
        """``colour``, ``size``, ``number`` or ``adjective``; None for words of other kinds.

        >>> load_lexicon().modifier("red"), load_lexicon().modifier("fox")
        ('colour', None)
        """
        return self._modifiers.get(fold(word))

    # Meanings -------------------------------------------------------------------------------

    def synset(self, place: int) -> Synset:
        words, file, above = self._lines[place].split("\t")
        parents = tuple(int(one) for one in above.split(",") if one)
        return Synset(tuple(words.split("|")), file[:2], file.endswith(SINGLE), parents)

    def senses(self, phrase: str) -> tuple[int, ...]:
        """Meanings of a noun, the commonest first."""
        word = fold(phrase)
        if word in self._senses:
            return tuple(map(int, self._senses[word].split(",")))
        return (self._first[word],) if word in self._first else ()

    def sense(self, phrase: str) -> int | None:
        """The commonest meaning that can be seen and is no single thing, else the first; or None.

        Persons come last: a vixen is a fox before she is a woman.
        """
        found = self.senses(phrase)
        seen = [
            place for place in found if (s := self.synset(place)).file in DRAWN and not s.single
        ]
        seen.sort(key=lambda place: self.synset(place).file == PERSON)
        return next(iter(seen or found), None)

    def synonyms(self, phrase: str) -> tuple[str, ...]:
        """Other words of its meaning."""
        return self._words([self.sense(phrase)], phrase)

    def hypernyms(self, phrase: str) -> tuple[str, ...]:
        """Words for what it is a kind of."""
        return self._words(self._above(phrase), phrase)

    def hyponyms(self, phrase: str, depth: int = 1) -> tuple[str, ...]:
        """Words for kinds of it, at most ``depth`` steps below, nearer ones first."""
        level = [place for place in [self.sense(phrase)] if place is not None]
        found: list[int] = []
        for _ in range(depth):
            level = [below for place in level for below in self._below.get(place, ())]
            found += level
        return self._words(found, phrase)

    def sisters(self, phrase: str, height: int = 1) -> tuple[str, ...]:
        """Words for other kinds of what it is a kind of, ``height`` steps above.

        >>> "wolf" in load_lexicon().sisters("fox")
        True
        """
        own = self.sense(phrase)
        level = {own} if own is not None else set()
        for _ in range(height):
            level = {parent for place in level for parent in self.synset(place).above}
        below = sorted(level)
        for _ in range(height):
            below = [under for place in below for under in self._below.get(place, ())]
        return self._words((place for place in below if place != own), phrase)

    def gloss(self, phrase: str) -> str:
        """What it is, in a few words; empty where the lexicon does not say.

        >>> load_lexicon().gloss("vixen")
        'a female fox'
        """
        place = self.sense(phrase)
        return "" if place is None else self._glosses[place]

    def is_person(self, phrase: str) -> bool:
        """Whether it is the name of a single person."""
        found = [self.synset(place) for place in self.senses(phrase)]
        return bool(found) and all(one.single and one.file == PERSON for one in found)

    def _above(self, phrase: str) -> tuple[int, ...]:
        place = self.sense(phrase)
        return () if place is None else self.synset(place).above

    def _words(self, places: Iterable[int | None], but: str) -> tuple[str, ...]:
        found = [self.synset(place) for place in places if place is not None]
        words = (word for one in found if not one.single for word in one.words)
        return tuple(dict.fromkeys(word for word in words if fold(word) != fold(but)))


@cache
def load_lexicon() -> Lexicon:
    """The lexicon that ships with the package."""
    data = files(DATA).joinpath("wordnet.txt.gz").read_bytes()
    return Lexicon(gzip.decompress(data).decode())
