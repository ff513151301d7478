"""Limits for the verdict from judged erasures, and how often the word that they give is right.

Of the calibration's erasures that are called good, at most ``WRONG`` are not, or one. Limits of
good are cut down one at a time, each time where most that is not good goes for the least that is;
then each is put half-way to the next erasure. A limit of failure lies where, of the erasures beyond
it, at most ``WRONG`` have not failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trace_erasure.math.verdict import FAILED, GOOD, WORDS, Limits, grade

WRONG = 0.05
FIGURES = ("unreached", "collateral", "residual", "empty_prompt", "retained")
"""In the order of their use where two serve as well."""
FEWEST = 3
"""Erasures beyond a limit of failure without which it is none."""


@dataclass(frozen=True)
class Judged:
    """An erasure: its figures, and the word that pictures give."""

    figures: Mapping[str, float]
    word: str


def fit(cases: Sequence[Judged]) -> dict[str, Limits]:
    """The limits of every figure that is of use.

    >>> bad = [Judged(dict.fromkeys(FIGURES, 1.0), "failed")] * 3
    >>> fit([Judged(dict.fromkeys(FIGURES, 0.0), "good"), *bad])
    {'unreached': Limits(good=0.5, failed=0.5)}
    """
    good = _good(cases)
    failed = _failed(cases)
    names = [name for name in FIGURES if name in good or name in failed]
    return {name: Limits(good.get(name, math.inf), failed.get(name, math.inf)) for name in names}


def _good(cases: Sequence[Judged]) -> dict[str, float]:
    limits: dict[str, float] = {}
    left = list(cases)
    while sum(case.word != GOOD for case in left) > max(1, WRONG * len(left)):
        cuts = [
            (name, value)
            for name in FIGURES
            for value in sorted({case.figures[name] for case in left})[:-1]
        ]
        if not cuts:
            break
        name, value = max(cuts, key=lambda cut: _gain(left, *cut))
        limits[name] = _between(left, name, value)
        left = [case for case in left if case.figures[name] <= limits[name]]
    return limits


def _gain(cases: Sequence[Judged], name: str, value: float) -> float:
    """What a limit of ``value`` takes away that is not good, less what of the good it costs."""
    gone = [case.word for case in cases if case.figures[name] > value]
    bad = sum(case.word != GOOD for case in cases)
    good = len(cases) - bad
    lost = sum(word == GOOD for word in gone)
    return (len(gone) - lost) / bad - lost / max(1, good)


def _failed(cases: Sequence[Judged]) -> dict[str, float]:
    """For each figure the lowest limit that is right on those beyond it, where there is one.

    What an earlier figure finds does not count for a later one.
    """
    limits: dict[str, float] = {}
    left = list(cases)
    for name in FIGURES:
        for value in sorted({case.figures[name] for case in left})[:-1]:
            beyond = [case.word for case in left if case.figures[name] > value]
            wrong = sum(word != FAILED for word in beyond)
            if len(beyond) >= FEWEST and wrong <= WRONG * len(beyond):
                limits[name] = _between(left, name, value)
                left = [case for case in left if case.figures[name] <= value]
                break
    return limits


def _between(cases: Sequence[Judged], name: str, value: float) -> float:
    """Half-way from ``value`` to the next larger one, to three digits."""
    above = min(case.figures[name] for case in cases if case.figures[name] > value)
    return float(f"{(value + above) / 2:.3g}")


def counts(cases: Sequence[Judged], limits: Mapping[str, Limits]) -> dict[str, dict[str, int]]:
    """How many erasures that are called a word are each word by pictures."""
    found: dict[str, dict[str, int]] = {said: {word: 0 for word in WORDS} for said in WORDS}
    for case in cases:
        found[grade(case.figures, limits).word][case.word] += 1
    return found
