"""What benchmarks/attacks.py attacks: TRACE at four levels, and every baseline of the registry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compare import selected
from trace_erasure.concept import Concept
from trace_erasure.erase import run
from trace_erasure.erasure import Erasure
from trace_erasure.methods.method import Method
from trace_erasure.methods.registry import METHODS
from trace_erasure.methods.trace import Trace
from trace_erasure.spec import EraseSpec
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


@dataclass(frozen=True)
class HardenedTrace(Trace):
    """TRACE with its option to harden, which the registry leaves off."""

    hardening: str = "off"

    def erase(
        self,
        pipe: Any,
        concepts: Sequence[Concept],
        *,
        seed: int = 0,
        captions: Sequence[str] | None = None,
        workdir: Path | None = None,
    ) -> Erasure:
        """See ``Method.erase``."""
        stages = (self.closed_form, self.finetune)
        spec = EraseSpec(tuple(concepts), *stages, seed=seed, hardening=self.hardening)
        return run(pipe, spec, captions, workdir=workdir)


def level(trace: Trace, name: str) -> HardenedTrace:
    """TRACE with the settings of ``trace`` at one of ``LEVELS``."""
    own = {"closed_form": trace.closed_form, "finetune": trace.finetune}
    return HardenedTrace(**{**own, **LEVELS[name]})


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
