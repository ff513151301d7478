"""Pictures side by side at equal seeds, each with its judge's verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from trace_erasure.errors import InputError
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.tasks.task import GROUPS, KEPT
from trace_erasure.pipeline.image_store import ImageStore


@dataclass(frozen=True)
class Picture:
    """A picture, whose it is, the words under it, and whether that is what was wanted."""

    image: Image.Image
    label: str = ""
    verdict: str = ""
    good: bool | None = None


@dataclass(frozen=True)
class Card:
    """Pictures that belong together: one prompt and seed, several models."""

    pictures: tuple[Picture, ...]
    caption: str = ""
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """Cards that wrap to the width of the page.

    Attributes:
        folded: it opens with a click.
        sensitive: its pictures are blurred until they are clicked.
        lead: it opens the page, larger and without a title.
        part: it belongs to the section before, and the table of contents leaves it out.
    """

    title: str
    cards: tuple[Card, ...]
    caption: str = ""
    folded: bool = False
    sensitive: bool = False
    lead: bool = False
    part: bool = False


def verdict_text(verdict: Verdict) -> str:
    """``fox 97 %`` where the expected is seen, else ``cloud · fox 2 %``."""
    if not verdict.labels:
        return "" if verdict.score is None else f"score {verdict.score:.1f}"
    best = verdict.labels[0].split("/", 1)[-1]
    if verdict.probability is None or not verdict.expected:
        return best
    one = len(verdict.expected) == 1
    wanted = verdict.expected[0].split("/", 1)[-1] if one else verdict.concept
    chance = f"{wanted} {verdict.probability:.0%}".replace("%", " %")
    return chance if best == wanted else f"{best} · {chance}"


def compare_grid(
    runs: Mapping[str, Sequence[Verdict]],
    store: ImageStore,
    *,
    judge: str,
    concept: str,
    title: str = "",
    groups: Sequence[str] = GROUPS,
    limit: int = 12,
) -> Grid:
    """The same items in several runs, for example ``{"original": …, "erased": …}``.

    The first run is the reference; in the others a picture is marked good where an erased concept
    is not seen, or a retained one is. Items are taken evenly, not chosen by their outcome.

    Args:
        judge: id of the judge whose words stand under the pictures.
        groups: item groups to show.
        limit: the most cards.

    Raises:
        InputError: the runs share no such item, or a picture is not in the store.
    """
    found, shared = _matched(runs, judge, concept, groups)
    n = min(limit, len(shared))
    reference = next(iter(runs))
    cards = []
    for item in (shared[i * len(shared) // n] for i in range(n)):
        pictures = [
            _shown(table[item], store, label, marked=label != reference)
            for label, table in found.items()
        ]
        first = found[reference][item]
        cards.append(Card(tuple(pictures), first.prompt, f"{first.group}, seed {first.image_seed}"))
    caption = f"{n} of {len(shared)} items, taken evenly; equal seeds. Judge: {judge}."
    return Grid(title or concept, tuple(cards), caption)


def method_grid(
    runs: Mapping[str, Sequence[Verdict]],
    store: ImageStore,
    *,
    judge: str,
    concept: str,
    title: str = "",
    limit: int = 8,
) -> Grid:
    """One row a run, the same items in the same order in each; arguments as ``compare_grid``.

    Half of the items are of erased prompts, half of retained ones.
    """
    erased = tuple(group for group in GROUPS if group not in KEPT)
    chosen: list[str] = []
    for groups, share in ((erased, limit - limit // 2), (KEPT, limit // 2)):
        found, shared = _matched(runs, judge, concept, groups)
        n = min(share, len(shared))
        chosen += [shared[i * len(shared) // n] for i in range(n)]
    found, _ = _matched(runs, judge, concept, GROUPS)
    reference = next(iter(runs))
    cards = []
    for label, table in found.items():
        pictures = [
            _shown(table[item], store, table[item].prompt, marked=label != reference)
            for item in chosen
        ]
        cards.append(Card(tuple(pictures), label))
    caption = f"One row a method, equal prompts and seeds, taken evenly. Judge: {judge}."
    return Grid(title or concept, tuple(cards), caption)


def _matched(
    runs: Mapping[str, Sequence[Verdict]], judge: str, concept: str, groups: Sequence[str]
) -> tuple[dict[str, dict[str, Verdict]], list[str]]:
    """Every run's verdicts by item, and the items that all of them share."""
    found = {
        label: {
            v.item: v
            for v in verdicts
            if v.judge == judge and v.concept == concept and v.group in groups
        }
        for label, verdicts in runs.items()
    }
    tables = list(found.values())
    shared = [item for item in tables[0] if all(item in table for table in tables)]
    if not shared:
        raise InputError(
            f"no items of {concept!r} that judge {judge!r} saw in all of: {', '.join(runs)}. "
            "Give verdicts of one task, and a judge id that stands in them."
        )
    return found, shared


def _shown(verdict: Verdict, store: ImageStore, label: str, marked: bool) -> Picture:
    """The picture with the judge's words; ``marked`` good where it shows what was wanted."""
    good = verdict.correct
    if good is not None and verdict.group not in KEPT:
        good = not good
    return Picture(
        store.load(verdict.image), label, verdict_text(verdict), good if marked else None
    )
