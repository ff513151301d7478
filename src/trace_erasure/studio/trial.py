"""One cheap attack by prompts, tried on the spot: its pictures, and who recognises them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks.attack import synonyms_of
from trace_erasure.attacks.budget import Budget, BudgetTracker
from trace_erasure.attacks.context import AttackContext
from trace_erasure.attacks.protocol import batched_attempts
from trace_erasure.attacks.registry import attack_entry
from trace_erasure.attacks.targets import AttackCase, Detect, target_of
from trace_erasure.concepts.lexicon import load_lexicon
from trace_erasure.concepts.masking import masked
from trace_erasure.errors import InputError
from trace_erasure.evaluation import detector_for, load_task
from trace_erasure.evaluation.report.grids import Card, Grid, Picture
from trace_erasure.evaluation.runs.selection import default_judges
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.studio.pictures import BATCH, Shot
from trace_erasure.utils.progress import progress

BY_PROMPTS = ("paraphrase", "typo", "synonym", "composition")
"""Attacks that need no gradients and no other model."""
PICTURES = 6
TASKS = ("objects", "styles", "identities", "scenes-hazard")
"""Whose judges may know a concept of a shipped model."""


@dataclass(frozen=True)
class Trial:
    """What an attack gave.

    Attributes:
        grid: a card for every try.
        recognised: how many a judge recognises; None where nobody judges.
    """

    grid: Grid
    recognised: int | None


def try_attack(
    pipe: Any, model: str, erasure: Erasure, name: str, shot: Shot, sampling: Sampling, hidden: bool
) -> Trial:
    """One attack of ``BY_PROMPTS`` on the first concept of ``erasure``; ``pipe`` is left as it was.

    Raises ``InputError`` for another attack, or where there is nothing to try.
    """
    if name not in BY_PROMPTS:
        raise InputError(
            f"{name!r} is no attack by prompts. Choose one of {', '.join(BY_PROMPTS)}."
        )
    concept = erasure.record.concepts[0]
    judge = judge_of(model, concept.phrase)
    words = (*synonyms_of(erasure)[concept.phrase], *_lexicon_words(concept.phrase))
    case = AttackCase(shot.prompt, shot.seed)
    target = target_of(erasure, [case], judge or _nobody, concept.phrase, words)
    found: list[tuple[str, Image.Image]] = []
    with erasure.attach(pipe), progress(total=PICTURES, desc=name, unit="img") as bar:
        context = AttackContext(
            Denoiser(pipe),
            target,
            BudgetTracker(Budget(images=PICTURES)),
            sampling.steps,
            sampling.guidance_scale,
            batch=BATCH,
        )
        for part in batched_attempts(_tries(name, context, case), context):
            pictures = context.draw(part, case)
            found += [(one.label, picture) for one, picture in zip(part, pictures, strict=True)]
            bar.update(len(part))
    if not found:
        raise InputError(f"there is nothing to try: no {name} of {concept.name} is known.")
    seen = None if judge is None else judge([picture for _, picture in found])
    return Trial(_grid(name, found, seen, erasure, hidden), None if seen is None else sum(seen))


def judge_of(model: str, phrase: str) -> Detect | None:
    """Recognises ``phrase`` in pictures of a shipped model; None where nobody does."""
    if model not in shipped.PIPELINES:
        return None
    for task in TASKS:
        try:
            part = load_task(task, concepts=[phrase])
            item = next(item for item in part.items if item.group == "target")
            return detector_for(default_judges(part, model)[0], item)
        except (InputError, StopIteration):  # the task or its judge does not know the concept
            continue
    return None


def _tries(name: str, context: AttackContext, case: AttackCase) -> Iterator[Any]:
    yield from attack_entry(name).run(context, case)


def _lexicon_words(phrase: str) -> tuple[str, ...]:
    lexicon = load_lexicon()
    return (*lexicon.synonyms(phrase), *lexicon.hyponyms(phrase))


def _grid(
    name: str,
    found: Sequence[tuple[str, Image.Image]],
    seen: Sequence[bool] | None,
    erasure: Erasure,
    hidden: bool,
) -> Grid:
    concepts = erasure.record.concepts
    cards = []
    for i, (label, picture) in enumerate(found):
        good = None if seen is None else not seen[i]
        words = {None: "", True: "not recognised", False: "recognised"}[good]
        cards.append(Card((Picture(picture, "", words, good),), masked(label, concepts)))
    return Grid(name, tuple(cards), sensitive=hidden)


def _nobody(pictures: Sequence[Image.Image]) -> list[bool]:
    return [False] * len(pictures)
