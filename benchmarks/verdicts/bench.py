"""Is the word right that an erasure gives itself? Good and careless erasures, by pictures.

    python -m benchmarks verdict --model emoji-sd       # resumes when killed
    python -m benchmarks verdict --model emoji-flux

Some two hundred erasures are made, good ones and such as people make by mistake: typing errors,
plurals, articles, wrong kinds, surrogates that are no words, things that the model cannot draw.
``truth`` says by pictures what each did. It takes about five seconds an erasure on one core.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from benchmarks.core.models import load_model
from benchmarks.core.options import folder_of
from benchmarks.core.sharing import shared_out
from benchmarks.verdicts.cases import cases
from benchmarks.verdicts.measure import Workbench
from trace_erasure.evaluation import shipped_classifiers

CASES = 140


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--cases", type=int, default=CASES, help=f"how many of the list (default: {CASES})"
    )
    parser.add_argument(
        "--again", action="store_true", help="make erasures again, for figures of this code"
    )


def run(options: Namespace) -> None:
    pipe, judges = load_model(options.model, options.device), shipped_classifiers(options.device)
    bench = Workbench(pipe, judges, folder_of(options), options.again)
    shared_out(cases()[: options.cases], options.shard, bench.measure)
