"""Pictures before and after an erasure, at equal seeds; those before are drawn once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, field
from itertools import takewhile
from typing import Any, TypeAlias

from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.concepts.masking import masked
from trace_erasure.evaluation.report.grids import Card, Grid, Picture
from trace_erasure.pipeline.generate import generate_batches
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.utils.sequences import evenly_spaced

CARDS = 6
SENTENCES = 3
"""Of a single concept that are drawn; each with several seeds."""
BATCH = 4
"""Pictures drawn at once: a stop waits for no more, and so many appear together."""
Pairs: TypeAlias = list[tuple[Image.Image, Image.Image | None]]
"""(before, after) of the first shots; None where the second is not drawn yet."""


@dataclass(frozen=True)
class Shot:
    """One picture to draw."""

    prompt: str
    seed: int = 0


def shots_of(concepts: Sequence[Concept], most: int = CARDS) -> list[Shot]:
    """Prompts that name the concepts: several of one, one each of many.

    >>> shots_of([Concept("fox", "cat")], 2)
    [Shot(prompt='fox', seed=0), Shot(prompt='fox', seed=1)]
    """
    if len(concepts) > 1:
        chosen = evenly_spaced(concepts, most)
        return [Shot(_sentence(concept, 0)) for concept in chosen]
    (concept,) = concepts
    count = min(SENTENCES, len(concept.sentences), max(1, most // 2))
    places = [(i, seed) for i in range(count) for seed in range(-(-most // count))]
    return [Shot(_sentence(concept, i), seed) for i, seed in places][:most]


def neighbours_of(retain: Sequence[str], most: int = CARDS) -> list[Shot]:
    """Prompts that are to stay, the nearest first."""
    return [Shot(prompt) for prompt in retain[:most]]


def _sentence(concept: Concept, place: int) -> str:
    filled = fill_template(concept.sentences[place], concept.phrase)
    return fill_template(filled, concept.only_with or "", "{y}")


@dataclass
class Album:
    """Draws pairs of pictures, and keeps the pictures of the model as it was."""

    _before: dict[tuple[Any, ...], Image.Image] = field(default_factory=dict)

    def pairs(
        self,
        pipe: Any,
        model: str,
        erasure: Erasure,
        shots: Sequence[Shot],
        sampling: Sampling,
        weight: float = 1.0,
        seen: Callable[[Pairs], None] | None = None,
    ) -> Pairs:
        """(before, after) of every shot, ``after`` at ``weight``. ``pipe`` is left as it was.

        ``seen`` is told what there is, whenever there is more.
        """
        keys = [(model, shot, astuple(sampling)) for shot in shots]
        missing = {
            key: shot for key, shot in zip(keys, shots, strict=True) if key not in self._before
        }
        after: list[Image.Image] = []

        def so_far() -> Pairs:
            known = takewhile(self._before.__contains__, keys)
            return [
                (self._before[key], after[i] if i < len(after) else None)
                for i, key in enumerate(known)
            ]

        def tell() -> None:
            if seen is not None:
                seen(so_far())

        def keep_before(pictures: Sequence[Image.Image], first: int) -> None:
            self._before |= dict(zip([*missing][first:], pictures, strict=False))
            tell()

        def keep_after(pictures: Sequence[Image.Image], first: int) -> None:
            after.extend(pictures)
            tell()

        draw(pipe, [*missing.values()], sampling, keep_before)
        with erasure.attach(pipe):
            erasure.set_weight(pipe, weight)
            draw(pipe, shots, sampling, keep_after)
        return so_far()


def draw(
    pipe: Any,
    shots: Sequence[Shot],
    sampling: Sampling,
    keep: Callable[[Sequence[Image.Image], int], None],
) -> None:
    """A picture of every shot: hands ``keep`` some at a time, with the place of the first."""
    prompts, seeds = [shot.prompt for shot in shots], [shot.seed for shot in shots]
    for part, _, pictures in generate_batches(pipe, prompts, seeds, sampling, batch=BATCH):
        keep(pictures, part.start)


def grid(
    title: str,
    shots: Sequence[Shot],
    pairs: Pairs,
    concepts: Sequence[Concept],
    hidden: bool,
) -> Grid:
    """Cards of the pairs that there are, sensitive words masked, and blurred where ``hidden``."""
    cards = tuple(
        Card(
            (Picture(before, "before"), *(() if after is None else (Picture(after, "after"),))),
            masked(shot.prompt, concepts),
            f"seed {shot.seed}",
        )
        for shot, (before, after) in zip(shots, pairs, strict=False)
    )
    return Grid(title, cards, sensitive=hidden)
