"""The options that benchmarks have in common, each with one meaning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.core.registry import Benchmark
from trace_erasure.errors import InputError
from trace_erasure.utils.sharding import Shard, parse_shard, shard_of


def _shard(text: str) -> Shard:
    try:
        return parse_shard(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _model(parser: argparse.ArgumentParser, _: Benchmark) -> None:
    from benchmarks.core.models import MODEL
    from trace_erasure.pipeline import shipped

    parser.add_argument("--model", default=MODEL, choices=shipped.PIPELINES)


def _device(parser: argparse.ArgumentParser, _: Benchmark) -> None:
    parser.add_argument("--device", default="cpu", help="cpu, cuda, … (default: cpu)")


def _work(parser: argparse.ArgumentParser, benchmark: Benchmark) -> None:
    work = Path("runs") / benchmark.folder
    what = f"keeps erasures, pictures and verdicts, so that a rerun goes on (default: {work})"
    parser.add_argument("--work", type=Path, default=work, help=what)


def _shard_option(parser: argparse.ArgumentParser, _: Benchmark) -> None:
    what = "i/n: this process's share of the work on one --work; the last one writes the rows"
    parser.add_argument("--shard", type=_shard, default=shard_of(), metavar="I/N", help=what)


def _engine(parser: argparse.ArgumentParser, _: Benchmark) -> None:
    parser.add_argument("--engine", default="local", help="local, ray or slurm (default: local)")
    parser.add_argument("--workers", type=int, default=1, help="of --engine ray or slurm")
    what = "NAME=VALUE of the engine; repeatable"
    parser.add_argument("--engine-option", action="append", default=[], help=what)


def _out(parser: argparse.ArgumentParser, _: Benchmark) -> None:
    from benchmarks.core.rows import RESULTS

    what = "folder of the rows, <out>/<model>/<name>.jsonl (default: benchmarks/results)"
    parser.add_argument("--out", type=Path, default=RESULTS, help=what)


COMMON: dict[str, Callable[[argparse.ArgumentParser, Benchmark], None]] = {
    "model": _model,
    "device": _device,
    "work": _work,
    "shard": _shard_option,
    "engine": _engine,
    "out": _out,
}


def parser_of(name: str, benchmark: Benchmark) -> argparse.ArgumentParser:
    """The parser of one benchmark: its common options, then its own."""
    module = benchmark.load()
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option in benchmark.takes:
        COMMON[option](parser, benchmark)
    if hasattr(module, "add_options"):
        module.add_options(parser)
    return parser


def folder_of(options: argparse.Namespace) -> Path:
    """Where one model's erasures, pictures and verdicts are kept: ``<work>/<model>``."""
    folder = options.work / options.model
    folder.mkdir(parents=True, exist_ok=True)
    return folder
