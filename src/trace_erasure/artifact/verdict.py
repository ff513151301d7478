"""The verdict on an erasure: a word from its figures, why, and what to do next.

The limits come from ``verdict_limits.json``, which ``python -m benchmarks verdict`` writes from
erasures of the shipped models that were judged by pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic import Field

from trace_erasure.artifact.typed import Typed
from trace_erasure.math.verdict import FAILED, GOOD, Limits, Word, grade, worst

LIMITS = "verdict_limits.json"
SAID = {
    "unreached": "what the phrase may mean instead is not reached",
    "residual": "wordings that the solve has not seen are not reached",
    "collateral": "ordinary prompts change",
    "retained": "a retained prompt changes",
    "empty_prompt": "the empty prompt changes",
}
"""What stands against an erasure whose figure is beyond a limit; larger figures are worse."""


class ErasureVerdict(Typed):
    """What an erasure is worth by its own figures; no picture is needed.

    Attributes:
        word: ``good``, ``weak`` or ``failed``.
        why: sentences without a full stop.
        advice: what to do next; none where all is well.
        figures: name to value; see ``SAID``.
    """

    word: Word
    why: tuple[str, ...]
    advice: tuple[str, ...] = ()
    figures: dict[str, float] = Field(default_factory=dict)

    def __str__(self) -> str:
        """The word with its reasons, in a line.

        >>> str(ErasureVerdict(word="good", why=("all is well",)))
        'good: all is well'
        """
        return f"{self.word}: {'; '.join(self.why)}"

    @property
    def failed(self) -> bool:
        return self.word == FAILED


@cache
def limits_of(mode: str) -> Mapping[str, Limits] | None:
    """The limits for solves of ``mode``; None where none were calibrated."""
    found = _table()["limits"].get(mode)
    if found is None:
        return None
    return {name: Limits(**values) for name, values in found.items()}


def verdict_by(
    figures: Mapping[str, float],
    mode: str,
    said: Mapping[str, str] | None = None,
    advice: Sequence[str] = (),
) -> ErasureVerdict | None:
    """The verdict that the limits of ``mode`` give; None where none were calibrated.

    Args:
        figures: by the names of ``SAID``.
        mode: of the closed form.
        said: a sentence for a figure that says more than ``SAID``.

    >>> verdict_by({}, "null_space") is None
    True
    """
    limits = limits_of(mode)
    if limits is None:
        return None
    found = grade(figures, limits)
    texts = {**SAID, **(said or {})}
    why = [
        f"{texts[name]} ({_beside(name, figures[name], limits[name], found.word)})"
        for name in found.against
    ]
    if found.word == GOOD:
        listed = ", ".join(f"{name} {figures[name]:.2g}" for name in limits)
        why = [f"every figure is within its limit ({listed})"]
    steps = () if found.word == GOOD else tuple(dict.fromkeys(advice))
    return ErasureVerdict(word=found.word, why=tuple(why), advice=steps, figures=dict(figures))


def worst_of(verdicts: Mapping[str, ErasureVerdict | None]) -> ErasureVerdict | None:
    """One verdict for several erasures by their names: the worst; None where one has none."""
    known = {name: own for name, own in verdicts.items() if own is not None}
    if not known or len(known) < len(verdicts):
        return None
    word, owners = worst({name: own.word for name, own in known.items()})
    why = tuple(f"{name}: {text}" for name in owners for text in known[name].why)
    if word == GOOD:
        why = (f"each of the {len(known)} is good",)
    advice = tuple(dict.fromkeys(text for own in known.values() for text in own.advice))
    return ErasureVerdict(word=word, why=why, advice=advice)


def _beside(name: str, value: float, limits: Limits, word: str) -> str:
    """A figure beside the limit that it is beyond."""
    if word == FAILED:
        return f"{name} {value:.2g}; failed above {limits.failed:.2g}"
    return f"{name} {value:.2g}; good up to {limits.good:.2g}"


@cache
def _table() -> dict[str, Any]:
    text = files("trace_erasure.artifact").joinpath(LIMITS).read_text("utf-8")
    return json.loads(text)
