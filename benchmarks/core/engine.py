"""A benchmark on an engine: each worker runs it with a ``--shard`` of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trace_erasure.engines.registry import LOCAL, engine_of, options_of
from trace_erasure.utils.sharding import Shard


@dataclass(frozen=True)
class BenchmarkJob:
    """One name of ``python -m benchmarks`` with its arguments.

    A benchmark loads its own model in every share, so there are as many shares as workers.
    """

    name: str
    arguments: tuple[str, ...]
    gpus: int

    def prepare(self) -> None:
        """Nothing is shared between shares."""

    def run(self, state: Any, shard: Shard) -> None:
        """Runs the benchmark with this share; the last one writes the rows."""
        from benchmarks.core.options import parser_of
        from benchmarks.core.registry import BENCHMARKS

        share = ["--engine", LOCAL, "--shard", f"{shard[0]}/{shard[1]}"]
        one = BENCHMARKS[self.name]
        one.run(parser_of(self.name, one).parse_args([*self.arguments, *share]))


def run_on_engine(name: str, arguments: Sequence[str], options: argparse.Namespace) -> None:
    """Runs the benchmark as ``--engine``, ``--workers`` and ``--engine-option`` say."""
    job = BenchmarkJob(name, tuple(arguments), int(options.device.startswith("cuda")))
    engine = engine_of(options.engine, options_of(options.engine_option))
    options.work.mkdir(parents=True, exist_ok=True)
    engine.run(job, options.workers, options.workers, options.work)
