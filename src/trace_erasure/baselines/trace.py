"""TRACE, in the form of a method among others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig
from trace_erasure.trace.erase import run


@dataclass(frozen=True)
class Trace:
    """TRACE: stage 1, stage 2 or both; see ``erase.run``."""

    closed_form: ClosedFormConfig | None = ClosedFormConfig()
    finetune: FinetuneConfig | None = None
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
        spec = EraseConfig(tuple(concepts), self.closed_form, self.finetune, seed, self.hardening)
        return run(pipe, spec, captions, workdir=workdir)
