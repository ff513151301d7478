"""Which benchmarks there are. Listing them imports none of them."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

MODEL_AND_WORK = ("model", "device", "work", "out")
SHARED = ("model", "device", "work", "shard", "engine", "out")


@dataclass(frozen=True)
class Benchmark:
    """One name of ``python -m benchmarks``.

    Attributes:
        module: below ``benchmarks``, with ``run(options)``, and ``add_options(parser)`` where it
            has options of its own.
        summary: one line of ``--help``.
        takes: which of the common options it has, see ``options.COMMON``.
    """

    module: str
    summary: str
    takes: tuple[str, ...] = SHARED

    @property
    def folder(self) -> str:
        """The subject, which also names the default of ``--work``."""
        return self.module.partition(".")[0]

    def load(self) -> ModuleType:
        return importlib.import_module(f"benchmarks.{self.module}")

    @property
    def run(self) -> Callable[[argparse.Namespace], None]:
        return self.load().run


BENCHMARKS = {
    "base": Benchmark(
        "erasure.base", "how well a model draws before anything is erased", MODEL_AND_WORK
    ),
    "erasure": Benchmark("erasure.tasks", "TRACE on every task, beside controls"),
    "stages": Benchmark("erasure.stages", "TRACE with either stage, or both, and each objective"),
    "words": Benchmark("erasure.words", "TRACE with the world's words, and with the lexicon alone"),
    "negative": Benchmark("erasure.negative", "negative prompts after an erasure", MODEL_AND_WORK),
    "second-moment": Benchmark(
        "erasure.second_moment",
        "how many captions the second moment needs",
        ("model", "device", "out"),
    ),
    "stage-2": Benchmark("erasure.stage_two", "stage 2 alone, the closed form off"),
    "cost": Benchmark("erasure.cost", "seconds and peak memory of one erasure", ("model", "out")),
    "sweep": Benchmark(
        "comparison.sweep", "chooses every method's settings for `compare`", SHARED[:-1]
    ),
    "compare": Benchmark("comparison.table", "TRACE beside the methods that others published"),
    "compare-size": Benchmark(
        "comparison.size", "how long `make bench-compare` takes, from measured seconds", ()
    ),
    "ablation": Benchmark("comparison.ablation", "TRACE with one of its parts changed"),
    "scenes": Benchmark("scenes.gate", "TRACE's stages where no word names the concept"),
    "scenes-pictures": Benchmark(
        "scenes.pictures", "pictures of scenes, of each method", MODEL_AND_WORK[:-1]
    ),
    "scenes-damage": Benchmark(
        "scenes.damage",
        "whether erased scenes look like scenes without the thing",
        MODEL_AND_WORK,
    ),
    "scenes-oracle": Benchmark(
        "scenes.oracle",
        "perfect steering where no word names the concept",
        ("model", "device", "out"),
    ),
    "many": Benchmark("merging.many", "one to fifty concepts erased at once"),
    "many-width": Benchmark(
        "merging.width", "what wider pooled vectors would leave room for, solved alone", ("out",)
    ),
    "many-switch": Benchmark(
        "merging.switch", "25 concepts merged, one more, one less", MODEL_AND_WORK
    ),
    "ledger": Benchmark(
        "merging.ledger", "twelve requests one by one, a build after each", MODEL_AND_WORK
    ),
    "ledger-killed": Benchmark(
        "merging.ledger_killed", "two processes that add requests and are killed", ("out",)
    ),
    "many-strength": Benchmark(
        "merging.strength", "five concepts merged, by strength", MODEL_AND_WORK
    ),
    "many-file": Benchmark(
        "merging.lora_file", "ten concepts merged, loaded by diffusers alone", MODEL_AND_WORK
    ),
    "combined": Benchmark(
        "merging.combinations", "two things that must not be drawn together", MODEL_AND_WORK
    ),
    "attacks": Benchmark("attacks.benchmark", "erasures under attack, with controls"),
    "certificates": Benchmark(
        "guarantees.certificates", "certified bounds against rates of detectors"
    ),
    "forecast": Benchmark("guarantees.forecast", "forecast collateral against paired pictures"),
    "verdict": Benchmark(
        "verdicts.bench", "the verdict on good and careless erasures, by pictures"
    ),
    "scale-closed-form": Benchmark(
        "scale.closed_form", "the closed form at the true sizes of published models", ("out",)
    ),
    "scale-many": Benchmark(
        "scale.many", "one to a thousand concepts at the shapes of SD 1.5, beside UCE", ("out",)
    ),
    "scale-capacity": Benchmark(
        "scale.capacity", "how many concepts an equality holds, on random weights", ("out",)
    ),
    "scale-finetune": Benchmark(
        "scale.finetune", "the finetune at the true sizes, on a GPU of 80 GiB", ("out",)
    ),
    "scale-memory": Benchmark(
        "scale.memory", "GPU memory of the finetune, from shapes alone", ("out",)
    ),
    "tables": Benchmark("tables.documents", "writes the tables of README and docs", ()),
}
