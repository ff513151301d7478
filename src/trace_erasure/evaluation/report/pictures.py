"""The pictures that open a report: a strip, then for each concept a grid and a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from trace_erasure.evaluation.report.grids import Card, Grid, compare_grid
from trace_erasure.evaluation.runs.controls import CONTROLS
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.runs.strength import parse_strength
from trace_erasure.evaluation.tasks.task import KEPT
from trace_erasure.pipeline.image_store import ImageStore

# Tasks whose pictures are blurred until they are clicked.
SENSITIVE = re.compile("hazard|i2p|nudity|sixcd|explicit|nsfw")
CARDS = 6
LEAD = 3
"""Concepts on the strip."""


def pictures_of(
    verdicts: Sequence[Verdict], store: ImageStore, judges: Sequence[str]
) -> Iterator[Grid]:
    """The strip and the grids, by the first judge; none where nobody classifies."""
    for judge in judges:
        grids = [
            grid
            for task in dict.fromkeys(v.task for v in verdicts)
            for grid in _grids([v for v in verdicts if v.task == task], store, judge)
        ]
        shown = grids[:LEAD]
        hidden = any(grid.sensitive for grid in shown)
        yield Grid("", tuple(map(_strip_card, shown)), sensitive=hidden, lead=True)
        yield from (replace(grid, folded=i > 0) for i, grid in enumerate(grids))


def in_words(runs: Mapping[str, Sequence[Verdict]]) -> str:
    """What a judge counts on one concept in each run, in a sentence.

    Args:
        runs: label to the verdicts of one judge on one concept; the first is the reference.
    """
    counts = {label: _counts(found) for label, found in runs.items()}
    reference, *others = counts
    shown, kept = counts[reference]
    said = [f"{reference}: the concept in {shown}, everything else recognised in {kept}"]
    said += [f"{label}: {counts[label][0]} and {counts[label][1]}" for label in others]
    return "; ".join(said) + "."


def _counts(verdicts: Sequence[Verdict]) -> tuple[str, str]:
    """Pictures that show the concept, and retained ones that show what they should."""
    own = [bool(v.correct) for v in verdicts if v.group == "target"]
    rest = [bool(v.correct) for v in verdicts if v.group in KEPT]
    return f"{sum(own)} of {len(own)} pictures", f"{sum(rest)} of {len(rest)}"


def _strip_card(grid: Grid) -> Card:
    """The first pictures of a grid under its sentence."""
    pictures = grid.cards[0].pictures
    return Card(
        (pictures[0], pictures[-1]), grid.title.removesuffix(", before and after"), grid.caption
    )


def _grids(verdicts: Sequence[Verdict], store: ImageStore, judge: str) -> Iterator[Grid]:
    """Equal seeds side by side: the original, random drift, and the first method."""
    task = verdicts[0].task
    methods = [m for m in dict.fromkeys(v.method for v in verdicts) if parse_strength(m)[1] == 1]
    own = [method for method in methods if method not in CONTROLS]
    shown = [m for m in ("base", "drift", *own[:1]) if m in methods]
    concepts = list(dict.fromkeys(v.concept for v in verdicts if v.judge == judge))
    for concept in concepts:
        runs = {CONTROLS.get(m, m): [v for v in verdicts if v.method == m] for m in shown}
        grid = compare_grid(
            runs,
            store,
            judge=judge,
            concept=concept,
            title=f"{task}: {concept}, before and after",
            limit=CARDS,
        )
        mine = {
            label: [v for v in found if v.judge == judge and v.concept == concept]
            for label, found in runs.items()
        }
        caption = f"{in_words(mine)} {grid.caption}"
        yield replace(grid, sensitive=bool(SENSITIVE.search(task)), caption=caption)
