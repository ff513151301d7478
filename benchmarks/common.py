"""What the benchmark scripts share: the embedded model, its judges, and writing rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trace_erasure import embedded
from trace_erasure.evaluate import Row, append_jsonl
from trace_erasure.files import atomic

MODEL = "emoji-sd"
RESULTS = Path(__file__).parent / "results"


def load_model(name: str = MODEL) -> Any:
    pipe = embedded.load_pipeline(name)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write_rows(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Replaces ``<folder>/<name>.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    with atomic(file) as partial:
        append_jsonl(partial, rows)
    return file
