"""What benchmarks/attacks.py attacks: TRACE at four levels, and every baseline of the registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare import selected
from trace_erasure.methods.method import Method
from trace_erasure.methods.registry import METHODS
from trace_erasure.methods.trace import Trace
from variants import usable

LEVELS: dict[str, dict[str, Any]] = {
    "trace, stage 1": {"finetune": None},
    "trace": {},
    "trace, hardened": {"hardening": "closed_form"},
    "trace, adversarial": {"hardening": "adversarial"},
}
"""What each level changes in TRACE's settings, weakest first."""
HARDENED = ("trace, hardened", "trace, adversarial")
BASELINES = tuple(name for name in METHODS if name != "trace")


def level(trace: Trace, name: str) -> Trace:
    """TRACE with the settings of ``trace`` at one of ``LEVELS``."""
    return replace(trace, **LEVELS[name])


def methods_for(
    pipe: Any, model: str, names: Iterable[str], settings: Path | None
) -> dict[str, Method]:
    """The methods called ``names`` that are made for the pipeline's family; says which are not.

    ``settings`` is a file of compare.py's choices; without it, all have their published settings.
    """
    names = list(names)
    fit = usable(pipe, [name for name in names if name not in LEVELS])
    wanted = ["trace", *fit]
    found = selected(settings, model, wanted) if settings else {n: METHODS[n] for n in wanted}
    trace: Any = found["trace"]
    return {n: level(trace, n) if n in LEVELS else found[n] for n in names if n in (*LEVELS, *fit)}
