"""Which methods and controls an evaluation measures, and in what order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.runs.controls import blanked, random_drift
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.runs.run_folder import NamedErasure, RunFolder
from trace_erasure.evaluation.runs.strength import ScaledErasure, method_at_strength
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline.strength import check_strength


@dataclass(frozen=True)
class Measurement:
    """One method of a table.

    Attributes:
        method: its name in rows.
        erasures: concept to what is attached while it is drawn; None: the original model.
        blank: the degenerate control, whose network gives zeros.
    """

    method: str
    erasures: Mapping[str, NamedErasure] | None = None
    blank: bool = False


def measurements(
    erasures: Mapping[str, Erasure],
    *,
    method: str = "trace",
    strengths: Sequence[float] = (1.0,),
    controls: bool = True,
) -> list[Measurement]:
    """The controls, then ``erasures`` at every strength.

    Without erasures the original model is measured even where ``controls`` is off.

    Raises:
        InputError: a strength is not between 0 and 2.
    """
    for strength in strengths:
        check_strength(strength)
    planned: list[Measurement] = []
    if controls or not erasures:
        planned.append(Measurement("base"))
    if controls:
        planned.append(Measurement("blank", blank=True))
    if erasures and controls:
        drifts = {name: random_drift(one) for name, one in erasures.items()}
        planned.append(Measurement("drift", drifts))
    for strength in strengths if erasures else ():
        scaled = {name: ScaledErasure(one, strength) for name, one in erasures.items()}
        planned.append(Measurement(method_at_strength(method, strength), scaled))
    return planned


def run_measurements(
    folder: RunFolder,
    pipe: Any,
    task: Task,
    judges: Sequence[Evaluator],
    planned: Sequence[Measurement],
    **how: Any,
) -> list[Verdict] | None:
    """Every verdict of ``planned``; None while those of other shards are missing.

    Args:
        how: further arguments of ``RunFolder.measure``.
    """
    verdicts: list[Verdict] = []
    complete = True
    for one in planned:
        with blanked(pipe) if one.blank else nullcontext():
            found = folder.measure(
                pipe, task, judges, method=one.method, erasure=one.erasures, **how
            )
        complete &= found is not None
        verdicts += found or []
    return verdicts if complete else None
