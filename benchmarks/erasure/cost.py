"""What an erasure costs: seconds and peak memory, each case in a process of its own.

    python -m benchmarks cost

Erases "fox" from the embedded model at default settings with all cores, first with nothing cached,
then with the second moment and the sketches of words on disk, then by both stages. Rows: task
``cost``, methods ``trace`` and ``both stages``, metrics ``seconds``, ``seconds_cold`` and
``peak_mib`` (of the whole process; ``base`` is a process that only loads the pipeline).
"""

from __future__ import annotations

import os
import tempfile
import time
from argparse import Namespace
from typing import Any

from benchmarks.core.meter import in_new_process, peak_mib
from benchmarks.core.models import load_model
from benchmarks.core.rows import write_rows
from trace_erasure.evaluation import Row

CASES = ("base", "trace", "both stages")


def case(method: str, model: str) -> dict[str, float]:
    """One case, in this process."""
    from trace_erasure.config import FinetuneConfig
    from trace_erasure.trace.erase import erase

    pipe, seconds = load_model(model), 0.0
    if method != "base":
        started = time.perf_counter()
        erase(pipe, "fox", finetune=FinetuneConfig() if method == "both stages" else None)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mib": peak_mib()}


def row(model: str, method: str, metric: str, value: float) -> Row:
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=1, seed=0)
    fields |= dict(low=float("nan"), high=float("nan"), protocol=f"threads={os.cpu_count()}")
    return Row(
        model=model, task="cost", method=method, concept="fox", metric=metric, value=value, **fields
    )


def run(options: Namespace) -> None:
    rows, model = [], options.model
    with tempfile.TemporaryDirectory() as cache:
        for method in CASES:
            if method == "trace":
                cold = in_new_process(case, method, model, XDG_CACHE_HOME=cache)["seconds"]
                rows.append(row(model, method, "seconds_cold", cold))
            found = in_new_process(case, method, model, XDG_CACHE_HOME=cache)
            rows += [row(model, method, metric, value) for metric, value in found.items()]
    write_rows("cost", model, rows, options.out)
    for r in rows:
        print(f"{r.method:14} {r.metric:14} {r.value:8.1f}")
