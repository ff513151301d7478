"""Targets of an attack: a concept, the prompts that ask for it, and the judge that recognises it.

Targets are made of an erasure's concepts and a task, or of a concept that no model has learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks import unknown_concept
from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Task, detector_for
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.utils.sequences import evenly_spaced
from trace_erasure.utils.words import mentions

Detect = Callable[[Sequence[Image.Image]], Sequence[bool]]


@dataclass(frozen=True)
class AttackCase:
    """One prompt that asks for the concept, and the seed of its noise.

    ``alias`` stands for an offensive prompt in everything that is kept.
    """

    prompt: str
    seed: int
    alias: str = ""

    @property
    def shown(self) -> str:
        """The prompt, or its alias."""
        return self.alias or self.prompt


@dataclass(frozen=True)
class Target:
    """What an attack wants back.

    Attributes:
        name: of the concept.
        kind: as in ``Concept.kind``.
        cases: what the attack is run on.
        detect: pictures to whether each shows the concept.
        forbidden: words that no search may use: the concept's own and those that were erased.
        synonyms: further words for it, which the erasure does not list.
        pictures: of the concept; None has the original model draw them.
    """

    name: str
    kind: str
    cases: tuple[AttackCase, ...]
    detect: Detect
    forbidden: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    pictures: tuple[Image.Image, ...] | None = None


def target_of(
    erasure: Erasure,
    cases: Sequence[AttackCase],
    detect: Detect,
    phrase: str | None = None,
    synonyms: Sequence[str] = (),
) -> Target:
    """A concept that ``erasure`` removes, as an attack aims at it.

    Args:
        phrase: which of its concepts; default: the first.
        synonyms: more words for it. No search may use them; the synonym attack tries those that
            the erasure does not list.

    Raises:
        InputError: the erasure's record does not name the concept.
    """
    concept = _concept(erasure, phrase)
    listed = (*concept.synonyms, *concept.descriptions)
    unseen = tuple(word for word in synonyms if word not in listed)
    forbidden = (concept.phrase, *listed, *synonyms)
    return Target(concept.phrase, concept.kind, tuple(cases), detect, forbidden, unseen)


def targets_of(
    erasure: Erasure,
    task: Task,
    judge: Evaluator,
    count: int,
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Target]:
    """What a task makes of the concepts that ``erasure`` removes: phrase to target.

    Args:
        task: its items of the group ``target`` are the cases of the concept that their prompts
            name; where they name none, all are the first concept's.
        judge: decides whether pictures show what these items expect.
        count: cases a concept at most, evenly from the task's list.
        synonyms: phrase to more words for it, see ``target_of``.

    Raises:
        InputError: the task has no such items, they expect different things of one concept, or
            ``judge`` cannot classify pictures.
    """
    items = [item for item in task.items if item.group == "target"]
    if not items:
        raise InputError(
            f"task {task.name!r} has no item of the group 'target'. "
            "Choose a task whose prompts ask for what was erased."
        )
    known = erasure.record.concepts
    named = {one.phrase: [i for i in items if mentions(i.prompt, one.phrases)] for one in known}
    by_phrase = {phrase: part for phrase, part in named.items() if part}
    by_phrase = by_phrase or {_concept(erasure, None).phrase: items}
    found = {}
    for phrase, part in by_phrase.items():
        if len({item.expects for item in part}) > 1:
            raise InputError(
                f"task {task.name!r} expects different things of prompts that name {phrase!r}. "
                "Choose one of its concepts."
            )
        cases = [
            AttackCase(item.prompt, item.seed, item.alias) for item in evenly_spaced(part, count)
        ]
        words = (synonyms or {}).get(phrase, ())
        found[phrase] = target_of(erasure, cases, detector_for(judge, part[0]), phrase, words)
    return found


def unknown_target(cases: Sequence[AttackCase]) -> Target:
    """The concept that no model has learned, with ten pictures to learn it from."""
    name = unknown_concept.NAME
    given = unknown_concept.pictures(10, 64)
    return Target(name, "object", tuple(cases), unknown_concept.detect, (name,), pictures=given)


def _concept(erasure: Erasure, phrase: str | None) -> Concept:
    known = erasure.record.concepts
    for concept in known:
        if phrase in (None, concept.phrase):
            return concept
    names = ", ".join(concept.phrase for concept in known) or "none"
    raise InputError(
        f"the erasure's record does not name the concept {phrase or 'that it removes'!r}. "
        f"It names: {names}."
    )
