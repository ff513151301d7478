"""What the benchmark scripts share: the embedded model, controls, costs, and rows."""

from __future__ import annotations

import argparse
import ctypes
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from trace_erasure.evaluation import Row, Verdict, append_jsonl, blanked
from trace_erasure.evaluation.tasks.task import Protocol, items_digest
from trace_erasure.pipeline import shipped
from trace_erasure.utils.atomic import atomic

MODEL = "emoji-sd"
RESULTS = Path(__file__).parents[1] / "results"
SHOWN = ("acc_e", "acc_g", "acc_all", "acc_s", "acc_s_relative", "h_o", "blank")
"""What tables are made of."""
BASE, BLANK = "base", "blank"
"""Controls: the original model, and a network that says nothing."""


def add_model(parser: argparse.ArgumentParser) -> None:
    """The options that say on what, and where, a script erases, draws and judges."""
    parser.add_argument("--model", default=MODEL, choices=shipped.PIPELINES)
    parser.add_argument("--device", default="cpu", help="cpu, cuda, …")


def load_model(name: str = MODEL, device: str = "cpu") -> Any:
    pipe = shipped.load_pipeline(name).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def controlled(pipe: Any, method: str) -> AbstractContextManager[Any]:
    """Within it ``pipe`` draws as the control ``method`` does, where it is one."""
    return blanked(pipe) if method == BLANK else nullcontext()


@contextmanager
def metered() -> Iterator[dict[str, float]]:
    """Fills in ``seconds``, and on Linux ``added_mib``, when it ends.

    The latter is the highest resident size within, less that at the beginning, when freed memory
    has gone back to the system: what comes on top of the loaded model and judges. (The kernel's
    own peak, VmHWM, set back by writing 5 to /proc/self/clear_refs.)
    """
    spent: dict[str, float] = {}
    gc.collect()
    before = None
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident_mib("VmRSS")
    except (OSError, AttributeError):
        pass
    started = time.perf_counter()
    yield spent
    spent["seconds"] = round(time.perf_counter() - started, 2)
    if before is not None:
        spent["added_mib"] = round(_resident_mib("VmHWM") - before, 1)


def _resident_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def write_rows(name: str, rows: Sequence[Row], folder: Path = RESULTS) -> Path:
    """Replaces ``<folder>/<name>.jsonl``; figures have six digits after the point."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.jsonl"
    short = [
        replace(row, value=round(row.value, 6), low=round(row.low, 6), high=round(row.high, 6))
        for row in rows
    ]
    with atomic(file) as partial:
        append_jsonl(partial, short)
    return file


def row_file(name: str, model: str) -> str:
    """The rows' file of one model; the first model's have the plain name."""
    return name if model == MODEL else f"{model}-{name}"


def under_one_protocol(rows: Sequence[Row], verdicts: Sequence[Verdict]) -> list[Row]:
    """``rows`` as of all the items in ``verdicts``, so that they may share a line of a table."""
    how = Protocol.parse(verdicts[0].protocol)
    whole = str(replace(how, items=items_digest({v.item for v in verdicts})))
    return [replace(row, protocol=whole) for row in rows]


def by_concept(rows: Sequence[Row]) -> list[Row]:
    """Everything of the mean and the worst, and ``SHOWN`` of every concept."""
    return [row for row in rows if row.concept in ("mean", "worst") or row.metric in SHOWN]


def over_concepts(rows: Sequence[Row]) -> list[Row]:
    """Mean and worst of ``SHOWN``, for tasks whose rows would else fill megabytes."""
    return [row for row in rows if row.concept in ("mean", "worst") and row.metric in SHOWN]
