"""The embedded models as benchmarks use them, and the controls that are measured beside methods."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from trace_erasure.evaluation import blanked
from trace_erasure.pipeline.loading import load_pipeline

MODEL = "emoji-sd"
BASE, BLANK = "base", "blank"
"""Controls: the original model, and a network that predicts nothing."""


def load_model(name: str = MODEL, device: str = "cpu") -> Any:
    """An embedded pipeline on ``device``, without progress bars."""
    pipe = load_pipeline(name).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def controlled(pipe: Any, method: str) -> AbstractContextManager[Any]:
    """Within it ``pipe`` draws as the control ``method`` does, where it is one."""
    return blanked(pipe) if method == BLANK else nullcontext()
