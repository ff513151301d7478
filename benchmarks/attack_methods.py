"""What benchmarks/attacks.py attacks: TRACE at three levels, and every baseline of the registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from compare import selected
from trace_erasure.methods.method import Method
from trace_erasure.methods.registry import METHODS
from variants import BOTH_STAGES, COMPARED, usable

LEVELS = {
    "trace": ("trace", "off"),
    "trace, hardened": ("trace", "closed_form"),
    "trace, adversarial": (BOTH_STAGES, "adversarial"),
}
"""Whose settings each level has, of ``COMPARED``, and its hardening; weakest first. Adversarial
hardening is of stage 2."""
HARDENED = ("trace, hardened", "trace, adversarial")
BASELINES = tuple(name for name in METHODS if name != "trace")


def methods_for(
    pipe: Any, model: str, names: Iterable[str], settings: Path | None
) -> dict[str, Method]:
    """The methods called ``names`` that are made for the pipeline's family; says which are not.

    ``settings`` is a file of compare.py's choices; without it, all have their published settings.
    """
    names = list(names)
    fit = usable(pipe, [name for name in names if name not in LEVELS])
    wanted = [*dict.fromkeys(LEVELS[name][0] for name in names if name in LEVELS), *fit]
    found = selected(settings, model, wanted) if settings else {n: COMPARED[n] for n in wanted}

    def made(name: str) -> Method:
        if name not in LEVELS:
            return found[name]
        base, hardening = LEVELS[name]
        trace: Any = found[base]
        return replace(trace, hardening=hardening)

    return {name: made(name) for name in names if name in (*LEVELS, *fit)}
