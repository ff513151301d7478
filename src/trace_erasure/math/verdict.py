"""One word for an erasure: its figures against limits.

Every figure is worse the larger it is. An erasure is *good* where all figures are within their
limits of good, *failed* where one is beyond its limit of failure, else *weak*.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Word: TypeAlias = Literal["good", "weak", "failed"]
GOOD: Word = "good"
WEAK: Word = "weak"
FAILED: Word = "failed"
WORDS: tuple[Word, ...] = (GOOD, WEAK, FAILED)
"""Best first."""


@dataclass(frozen=True)
class Limits:
    """What one figure may be.

    Attributes:
        good: the most that a good erasure has.
        failed: beyond it an erasure has failed; infinite where the figure alone never says so.
    """

    good: float = math.inf
    failed: float = math.inf


@dataclass(frozen=True)
class Grade:
    """A word, and the figures that stand against a better one, the most telling first."""

    word: Word
    against: tuple[str, ...]


def grade(figures: Mapping[str, float], limits: Mapping[str, Limits]) -> Grade:
    """The word for ``figures``; those that have no limits do not count.

    Raises ``KeyError`` where a figure with limits is missing.

    >>> limits = {"residual": Limits(good=0.5, failed=1.2), "collateral": Limits(good=0.1)}
    >>> grade({"residual": 0.4, "collateral": 0.02}, limits)
    Grade(word='good', against=())
    >>> grade({"residual": 1.5, "collateral": 0.2}, limits)
    Grade(word='failed', against=('residual',))
    """
    failed = [name for name, own in limits.items() if not figures[name] <= own.failed]
    if failed:
        return Grade(FAILED, tuple(failed))
    over = [name for name, own in limits.items() if not figures[name] <= own.good]
    return Grade(WEAK if over else GOOD, tuple(over))


def worst(words: Mapping[str, Word]) -> tuple[Word, tuple[str, ...]]:
    """The worst of several words by their names, and whose it is.

    >>> worst({"fox": "good", "foxx": "failed"})
    ('failed', ('foxx',))
    """
    word = max(words.values(), key=WORDS.index)
    return word, tuple(name for name, own in words.items() if own == word)
