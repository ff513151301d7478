"""What the benchmark scripts share: the embedded model, erasures that are kept, and rows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from trace_erasure import embedded
from trace_erasure.erase import run
from trace_erasure.erasure import Erasure
from trace_erasure.evaluate import Row, append_jsonl, blanked
from trace_erasure.files import atomic
from trace_erasure.spec import EraseSpec

MODEL = "emoji-sd"
RESULTS = Path(__file__).parent / "results"
BASE, BLANK = "base", "blank"
"""Controls: the original model, and a network that says nothing."""


def load_model(name: str = MODEL) -> Any:
    pipe = embedded.load_pipeline(name)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def controlled(pipe: Any, method: str) -> AbstractContextManager[Any]:
    """Within it ``pipe`` draws as the control ``method`` does, where it is one."""
    return blanked(pipe) if method == BLANK else nullcontext()


def erasure_in(file: Path, pipe: Any, spec: EraseSpec) -> Erasure:
    """The erasure that an earlier run left in ``file``, or a new one."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        run(pipe, spec, workdir=file.parent).save(file)
    return Erasure.load(file)


def write_rows(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Replaces ``<folder>/<name>.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    with atomic(file) as partial:
        append_jsonl(partial, rows)
    return file
