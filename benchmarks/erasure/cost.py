"""What an erasure costs: seconds and peak memory, each case in a process of its own.

    python benchmarks/cost.py

Erases "fox" from the embedded model at default settings with all cores, first with nothing cached,
then with the second moment and the sketches of words on disk, then by both stages. Rows: task
``cost``, methods ``trace`` and ``both stages``, metrics ``seconds``, ``seconds_cold`` and
``peak_mib`` (of the whole process; ``base`` is a process that only loads the pipeline).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks.core.common import MODEL, RESULTS, load_model, row_file, write_rows
from trace_erasure.evaluation import Row
from trace_erasure.pipeline import shipped

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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mib": peak}


def measured(method: str, model: str, cache: str) -> dict[str, float]:
    """``case`` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.erasure.cost", "--case", method, "--model", model]
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(found.stdout.splitlines()[-1])


def row(model: str, method: str, metric: str, value: float) -> Row:
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=1, seed=0)
    fields |= dict(low=float("nan"), high=float("nan"), protocol=f"threads={os.cpu_count()}")
    return Row(
        model=model, task="cost", method=method, concept="fox", metric=metric, value=value, **fields
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=MODEL, choices=shipped.PIPELINES)
    parser.add_argument("--case", choices=CASES, help="one case, as JSON; for this script itself")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(case(options.case, options.model)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for method in CASES:
            if method == "trace":
                cold = measured(method, options.model, cache)["seconds"]
                rows.append(row(options.model, method, "seconds_cold", cold))
            for metric, value in measured(method, options.model, cache).items():
                rows.append(row(options.model, method, metric, value))
    write_rows(row_file("cost", options.model), rows, RESULTS)
    for r in rows:
        print(f"{r.method:14} {r.metric:14} {r.value:8.1f}")


if __name__ == "__main__":
    main()
