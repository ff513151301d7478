"""What is attacked: TRACE at three levels, and every baseline of the registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.comparison.methods import COMPARED, usable
from benchmarks.comparison.settings import selected
from trace_erasure.baselines.base import Method
from trace_erasure.baselines.registry import METHODS

LEVELS = {
    "trace": "off",
    "trace, hardened": "closed_form",
    "trace, adversarial": "adversarial",
}
"""The hardening of each level, weakest first. All have the closed form of ``trace``; adversarial
hardening brings its own training."""
HARDENED = ("trace, hardened", "trace, adversarial")
BASELINES = tuple(name for name in METHODS if name != "trace")


def methods_for(
    pipe: Any, model: str, names: Iterable[str], settings: Path | None
) -> dict[str, Method]:
    """The methods called ``names`` that support the pipeline's family; prints the others.

    ``settings`` is a file of a sweep's choices; without it, all have their published settings.
    """
    names = list(names)
    fit = usable(pipe, [name for name in names if name not in LEVELS])
    wanted = [*(["trace"] if any(name in LEVELS for name in names) else []), *fit]
    found = selected(settings, model, wanted) if settings else {n: COMPARED[n] for n in wanted}

    def made(name: str) -> Method:
        if name not in LEVELS:
            return found[name]
        trace: Any = found["trace"]
        return replace(trace, hardening=LEVELS[name])

    return {name: made(name) for name in names if name in (*LEVELS, *fit)}
