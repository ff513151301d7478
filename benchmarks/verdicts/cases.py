"""What is erased for the calibration of the verdict: good erasures, and careless ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from benchmarks.verdicts.words import ARTICLES, CATEGORIES, COLOURS, NONSENSE, ORDINARY, UNKNOWN
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig
from trace_erasure.pipeline.fingerprint import digest_of
from trace_erasure.utils.words import indefinite_article, mentions
from trace_erasure.world import load_world
from trace_erasure.world.vocabulary import World

SEED = 0
PLAIN_OBJECTS = 40


@dataclass(frozen=True)
class Case:
    """One erasure, and what whoever asked for it meant.

    Attributes:
        sort: why it is in the list, such as ``plain`` or ``typo``.
        concepts: as they are given to ``erase``.
        meant: the judges' labels of what should be gone; none where the model cannot draw it.
        key: of the concept that was meant, by which cases are kept apart from calibration.
        settings: of stage 1.
        wording: how pictures name what was meant, where that is not the label's own name.
    """

    sort: str
    concepts: tuple[Concept, ...]
    meant: tuple[str, ...]
    key: str
    settings: ClosedFormConfig = field(default_factory=ClosedFormConfig)
    wording: str = ""

    @property
    def title(self) -> str:
        """Names the case; no two have the same."""
        words = " + ".join(
            f"{c.phrase} ({c.kind})" + (f" -> {c.surrogate}" if c.surrogate else "")
            for c in self.concepts
        )
        usual = ClosedFormConfig()
        changed = [
            f"{name}={getattr(self.settings, name)}"
            for name in ("directions", "ridge", "keep")
            if getattr(self.settings, name) != getattr(usual, name)
        ]
        return ", ".join([f"{self.sort}: {words}", *changed])

    @property
    def owner(self) -> str:
        return self.key


def subject(name: str) -> str:
    """The judges' label of an object or a person."""
    return f"subject/{name}"


def typo(word: str, random: Random) -> str:
    """``word`` with one letter doubled, dropped, or two swapped; never the same word."""
    while True:
        at = random.randrange(1, len(word))
        made = random.choice(
            [
                word[:at] + word[at - 1 :],
                word[:at] + word[at + 1 :],
                word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
            ]
        )
        if made != word and len(made) > 1:
            return made


def plural(word: str) -> str:
    """The plural of a regular noun."""
    if word.endswith(("s", "x", "ch", "sh")):
        return f"{word}es"
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


def _plain(world: World, random: Random) -> Iterator[Case]:
    for name in random.sample([thing.name for thing in world.objects], PLAIN_OBJECTS):
        yield Case("plain", (Concept(name),), (subject(name),), name)
    for key in world.named_styles:
        words = world.styles[key]
        yield Case("plain", (Concept(words, kind="style"),), (f"style/{key}",), words)
    for name in world.people:
        yield Case("plain", (Concept(name, kind="identity"),), (subject(name),), name)


def _one_object(
    sort: str,
    count: int,
    concept: Callable[[str, Random], Concept],
    settings: Sequence[ClosedFormConfig] = (ClosedFormConfig(),),
) -> Callable[[World, Random], Iterator[Case]]:
    """Cases of ``count`` random objects, ``concept`` of each, ``settings`` in turn."""

    def made(world: World, random: Random) -> Iterator[Case]:
        names = random.sample([t.name for t in world.objects if t.article], count)
        for i, name in enumerate(names):
            own = settings[i % len(settings)]
            yield Case(sort, (concept(name, random),), (subject(name),), name, own)

    return made


def _other(name: str, random: Random, kind: str = "object") -> str:
    """A name of ``kind`` that has no word of ``name``: doubtful names are erased only with one."""
    world = load_world()
    names = {
        "object": [t.name for t in world.objects if t.article and t.group != "weapons"],
        "style": [world.styles[key] for key in world.named_styles],
        "identity": list(world.people),
    }
    return random.choice([one for one in names[kind] if not mentions(name, [one])])


def _doubtful(phrase: str, random: Random, kind: str = "object") -> Concept:
    return Concept(phrase, surrogate=_other(phrase, random, kind), kind=kind)


def _wrong_kind(world: World, random: Random) -> Iterator[Case]:
    objects = random.sample([t.name for t in world.objects if t.article], 10)
    for i, name in enumerate(objects):
        kind = ("style", "identity")[i % 2]
        yield Case("wrong kind", (_doubtful(name, random, kind),), (subject(name),), name)
    for key in world.named_styles:
        words = world.styles[key]
        yield Case("wrong kind", (_doubtful(words, random),), (f"style/{key}",), words)
    for i, name in enumerate(random.sample(list(world.people), 9)):
        kind = ("object", "object", "style")[i % 3]
        yield Case("wrong kind", (_doubtful(name, random, kind),), (subject(name),), name)


def _near_surrogates(world: World, random: Random) -> Iterator[Case]:
    """Surrogates that are words for the concept itself."""
    for thing in world.targets:
        given = Concept(thing.name, surrogate=random.choice(thing.synonyms))
        yield Case("near surrogate", (given,), (subject(thing.name),), thing.name)


def _conjunctions(world: World, random: Random) -> Iterator[Case]:
    names = random.sample([t.name for t in world.objects if t.article], 20)
    for one, other in zip(names[::2], names[1::2], strict=True):
        meant = (subject(one), subject(other))
        yield Case("conjunction", (_doubtful(f"{one} and {other}", random),), meant, one)


def _adjectives(world: World, random: Random) -> Iterator[Case]:
    names = random.sample([t.name for t in world.objects if t.article], 8)
    for i, name in enumerate(names):
        phrase = f"{COLOURS[i % len(COLOURS)]} {name}"
        wording = f"a {phrase}"
        yield Case(
            "adjective", (_doubtful(phrase, random),), (subject(name),), name, wording=wording
        )


def _without_class(world: World, random: Random) -> Iterator[Case]:
    for word in UNKNOWN:
        yield Case("unknown noun", (_doubtful(word, random),), (), word)
    for word in ORDINARY:
        yield Case("ordinary word", (_doubtful(word, random),), (), word)
    for word, group in CATEGORIES.items():
        meant = tuple(subject(thing.name) for thing in world.group(group))
        given = (_doubtful(word, random),)
        yield Case("category", given, meant, word, wording=world.categories[group])


SORTS: tuple[Callable[[World, Random], Iterator[Case]], ...] = (
    _plain,
    _one_object("surrogate given", 8, lambda x, r: Concept(x, surrogate=_other(x, r))),
    _one_object("typo", 16, lambda x, r: _doubtful(typo(x, r), r)),
    _one_object("plural", 10, lambda x, r: _doubtful(plural(x), r)),
    _one_object(
        "article",
        8,
        lambda x, r: _doubtful(f"{r.choice([indefinite_article(x), *ARTICLES])} {x}", r),
    ),
    _wrong_kind,
    _one_object("nonsense surrogate", 12, lambda x, r: Concept(x, surrogate=r.choice(NONSENSE))),
    _one_object("unknown surrogate", 6, lambda x, r: Concept(x, surrogate=r.choice(UNKNOWN))),
    _without_class,
    _near_surrogates,
    _conjunctions,
    _adjectives,
    _one_object(
        "few directions",
        9,
        lambda x, _: Concept(x),
        [ClosedFormConfig(directions=n) for n in (1, 2, 4)],
    ),
    _one_object(
        "little retained",
        9,
        lambda x, _: Concept(x),
        [
            ClosedFormConfig(keep=0, ridge=1e-8),
            ClosedFormConfig(keep=0, ridge=10.0),
            ClosedFormConfig(directions=32, keep=1),
        ],
    ),
)


def cases() -> list[Case]:
    """All cases in an order that mixes the sorts, and that further cases do not change."""
    world = load_world()
    listed = {
        case.title: case for i, sort in enumerate(SORTS) for case in sort(world, Random(SEED + i))
    }
    return [listed[title] for title in sorted(listed, key=lambda title: digest_of([title]))]


def held_apart(key: str) -> bool:
    """Whether the cases of a concept are kept apart from calibration: half are, by lot."""
    return int(digest_of([SEED, key]), 16) % 2 == 1
