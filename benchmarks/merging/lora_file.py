"""Ten concepts merged and saved, then drawn by diffusers' own LoRA loader.

    python -m benchmarks many-file                   # after `many`, whose artifacts it uses
    python -m benchmarks many-file --model emoji-flux

Rows go to <out>/<model>/many-file.jsonl: method ``trace`` attaches the erasure, ``plain
diffusers`` loads the file that it was saved to.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.core.models import BASE
from benchmarks.core.rows import write_rows
from benchmarks.merging.bench import (
    Bench,
    artifacts_folder,
    figures_of,
    merging_options,
    merging_task,
    spec_of,
)
from benchmarks.merging.parts import parts_of
from trace_erasure.evaluation import to_markdown

FILED = 10

add_options = merging_options


@dataclass(frozen=True)
class PlainLora:
    """A LoRA file that diffusers itself loads and unloads."""

    file: Path
    name: str

    @contextmanager
    def attach(self, pipe: Any) -> Iterator[Any]:
        pipe.load_lora_weights(self.file)
        try:
            yield pipe
        finally:
            pipe.unload_lora_weights()


def run(options: Namespace) -> None:
    spec = spec_of(options, FILED)
    bench = Bench.of(options, artifacts_folder(options))
    task = merging_task(options, spec, "many-file")
    erasure, _ = bench.merged(parts_of(bench.pipe, spec, bench.work).load())
    file = erasure.save(bench.work / task.name)
    base = bench.verdicts(task, BASE)
    rows = figures_of(base, base)
    loaded = PlainLora(file, f"plain-{erasure.name}")
    for method, how in {"trace": erasure, "plain diffusers": loaded}.items():
        rows += figures_of(bench.verdicts(task, method, how), base)
    write_rows(task.name, options.model, rows, options.out)
    print(to_markdown(rows, title=task.name))
