"""Makes one case's erasure, draws with it, and keeps what was found under ``--work``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from benchmarks.verdicts.cases import Case
from benchmarks.verdicts.truth import Item, Truth, compare, named_items, others_of, read
from trace_erasure.artifact import verdict
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.config import EraseConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import Judge
from trace_erasure.math.verdict import Limits
from trace_erasure.pipeline.fingerprint import digest_of
from trace_erasure.trace.erase import run as run_erase
from trace_erasure.utils.atomic import atomic

OPEN = {name: Limits() for name in verdict.SAID}
"""Limits that no figure is beyond."""


class Workbench:
    """A model with its judges; readings of the original model are made once for all cases.

    Args:
        again: makes every erasure again, for figures of this code. Pictures are drawn only with
            those whose tensors have changed.
    """

    def __init__(
        self, pipe: Any, judges: Sequence[Judge], folder: Path, again: bool = False
    ) -> None:
        self.pipe, self.judges, self.again = pipe, judges, again
        self.folder = folder / "verdict"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._before: dict[Item, torch.Tensor] = {}

    def measure(self, case: Case, draw: bool = True) -> dict[str, Any] | None:
        """The case with its erasure's record and its truth, or with the sentence that refused it.

        ``draw=False`` only looks for what an earlier run left; None where it is missing.
        """
        file = self.folder / f"{digest_of([case.title])}.json"
        if file.exists() and not (draw and self.again):
            return json.loads(file.read_text("utf-8"))
        if not draw:
            return None
        found: dict[str, Any] = {"title": case.title, "sort": case.sort, "key": case.key}
        try:
            # Whatever limits there are, the record is to have the figures.
            with patch.object(verdict, "limits_of", lambda mode: OPEN):
                asked = EraseConfig(case.concepts, closed_form=case.settings)
                erasure = run_erase(self.pipe, asked)
        except InputError as error:
            found["refused"] = str(error)
        else:
            found["record"] = erasure.record.to_dict()
            found["truth"] = asdict(self._truth(case, erasure))
        _write(file, found)
        return found

    def _truth(self, case: Case, erasure: Erasure) -> Truth:
        file = self.folder / f"{digest_of([case.title, erasure.name])}-truth.json"
        if file.exists():
            return Truth(**json.loads(file.read_text("utf-8")))
        named, others = named_items(case) if case.meant else [], others_of(case)
        before = self._original([*named, *others])
        with erasure.attach(self.pipe):
            after = read(self.pipe, [*named, *others], self.judges)
        cut = len(named)
        truth = compare((before[:cut], after[:cut]), (before[cut:], after[cut:]))
        _write(file, asdict(truth))
        return truth

    def _original(self, items: Sequence[Item]) -> torch.Tensor:
        """Readings of ``items`` without an erasure, (items, judges)."""
        new = [item for item in items if item not in self._before]
        if new:
            self._before |= dict(zip(new, read(self.pipe, new, self.judges), strict=True))
        return torch.stack([self._before[item] for item in items])


def _write(file: Path, data: Any) -> None:
    with atomic(file) as partial:
        partial.write_text(json.dumps(data, indent=1), "utf-8")
