"""Do certificates hold? Event rates of many detectors against the bound on the embedded models.

    make bench-certificates                                # sized to ten minutes on one core
    python -m benchmarks certificates --model emoji-flux --concepts fox apple

Two certificates, each for TRACE's default, stage 1 alone. ``certificate/retained``: the erased
model against the original on 20 prompts of other things, at several strengths.
``certificate/concept``: the erased model on concept prompts against the original on the surrogate's
prompts, for the default edit and for an untruncated one of a single sentence, where the divergence
is zero up to rounding.

The path divergence bounds the rate of every detector at once. Pictures are then drawn by both
models from the same noise along the certified sampler's paths, and the rates of six detectors
compared: the judges' verdict and confidence, brightness, saturation, edges, colour. Rows go to
<out>/<model>/certificates.jsonl: metric ``kl`` in nats with
its interval; ``bound``, or ``vacuous_bound`` where it exceeds 0.9;
``gap_<detector>``, erased less original, with the interval of paired differences, prompts resampled
whole; ``gap``, the largest; and ``violations``, detectors whose whole interval is beyond the bound.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from benchmarks.core.models import load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import read_rows, write_lines, write_rows
from benchmarks.core.sharing import shared_out
from benchmarks.guarantees.detectors import NAN, Detector, detectors, gap, rows_of
from benchmarks.guarantees.units import Unit
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.candidates import PROBE_TEMPLATES
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import Row, shipped_classifiers
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.guarantees.path_kl import END, divergence
from trace_erasure.math.statistics import mean_estimate
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.sampler import fresh, sample, schedule, to_pictures
from trace_erasure.trace.erase import run as erase
from trace_erasure.world import load_world

STRENGTHS = (0.01, 0.02, 0.05, 1.0)
"""The divergence grows with the square: at 0.05 it is about half a nat beside the concept."""
SENTENCE = "a picture of a {x}"
EXACT = ClosedFormConfig(directions=None, keep=4)
"""An embedding of 256 has room for one sentence of a concept and its synonyms, and little else."""
FIRST_SEED = 60_000


@dataclass(frozen=True)
class Comparison:
    """``erasure`` on ``edited`` prompts against the original on the ``original`` ones."""

    task: str
    method: str
    erasure: Erasure
    strength: float
    edited: tuple[str, ...]
    original: tuple[str, ...]


def comparisons(pipe: Any, name: str, count: int) -> Iterator[Comparison]:
    """Everything that is certified and checked for one concept."""
    default = erase(pipe, EraseConfig((Concept(name),)))
    kept = retained(name, count)
    for strength in STRENGTHS:
        method = f"stage 1 × {strength:g}"
        yield Comparison("certificate/retained", method, default, strength, kept, kept)
    listed = Concept(name, templates=(SENTENCE,))
    exact = erase(pipe, EraseConfig((listed,), closed_form=EXACT))
    for method, erasure in (("stage 1 × 1", default), ("exact stage 1", exact)):
        edited, original = redirected(erasure, count)
        yield Comparison("certificate/concept", method, erasure, 1.0, edited, original)


def retained(name: str, count: int) -> tuple[str, ...]:
    names = [thing.name for thing in load_world().objects if thing.name != name]
    return tuple(fill_template(PROBE_TEMPLATES["object"], other) for other in names[:count])


def redirected(erasure: Erasure, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Listed concept prompts, evenly chosen, and the surrogate's in their place."""
    concept = ResolvedConcept.of(erasure.record.concepts[0])
    wordings = concept.wordings()
    count = min(count, len(wordings))
    chosen = [wordings[i * len(wordings) // count] for i in range(count)]
    own = tuple(fill_template(template, phrase) for template, phrase in chosen)
    return own, tuple(fill_template(template, concept.surrogate) for template, _ in chosen)


def pictures(denoiser: Denoiser, prompts: Sequence[str], seeds: Sequence[int], steps: int) -> list:
    """Pictures at the end of the certified paths."""
    plan = schedule(denoiser, steps, eta=1.0, end=END)
    empty, found = denoiser.unconditional(), []
    for start in range(0, len(seeds), 8):
        chunk = seeds[start : start + 8]
        own = denoiser.encode([prompts[(start + i) % len(prompts)] for i in range(len(chunk))])
        generators = [torch.Generator().manual_seed(seed) for seed in chunk]
        states = fresh(denoiser.initial_states(chunk), generators)
        final = sample(denoiser, own, empty, states, plan, shipped.GUIDANCE, generators)
        found += to_pictures(denoiser, final)
    return found


@dataclass(frozen=True)
class Bench:
    """One model, the detectors, and how much is drawn."""

    pipe: Any
    denoiser: Denoiser
    detectors: Mapping[str, Detector]
    options: Namespace

    def rows(self, name: str) -> list[Row]:
        """Everything of one concept."""
        options, rows = self.options, []
        seeds = range(FIRST_SEED, FIRST_SEED + options.paths)
        drawn: dict[tuple[str, ...], list[Image.Image]] = {}  # by the original, once a list
        for one in comparisons(self.pipe, name, options.prompts):
            if one.original not in drawn:
                drawn[one.original] = pictures(self.denoiser, one.original, seeds, options.steps)
            own = self._compared(one, drawn[one.original], seeds, name)
            rows += own
            short = "  ".join(f"{r.metric} {r.value:.3g}" for r in own if "gap_" not in r.metric)
            print(f"{name:8} {one.task:20} {one.method:14} {short}", flush=True)
        return rows

    def _compared(
        self, one: Comparison, original: list[Image.Image], seeds: range, name: str
    ) -> list[Row]:
        options, count = self.options, len(one.edited)
        with one.erasure.attach(self.pipe, one.strength):
            terms, _ = divergence(
                self.denoiser, one.erasure, one.edited, one.original, seeds, steps=options.steps,
                guidance=shipped.GUIDANCE,
            )  # fmt: skip
            erased = pictures(self.denoiser, one.edited, seeds, options.steps)
        gaps = {key: gap(see(erased), see(original), count) for key, see in self.detectors.items()}
        protocol = JudgingProtocol(
            one.task, "2", f"{count}:{options.paths}", "ancestral", str(options.steps),
            f"{shipped.GUIDANCE:g}", "native", "float32",
        )  # fmt: skip
        like = Row(
            options.model, one.task, one.method, name, "detectors", "", NAN, None,
            options.paths, NAN, NAN, 0, str(protocol),
        )  # fmt: skip
        return rows_of(mean_estimate(terms.sum(1)), gaps, like)

    def measure(self, unit: Unit, draw: bool) -> list[Row] | None:
        """The rows of one concept, from their file where it was done before."""
        options = self.options
        name = f"{unit.concept}-{options.prompts}-{options.paths}-{options.steps}.jsonl"
        file = folder_of(options) / "certificates" / name
        if not file.exists() and draw:
            write_lines(file, self.rows(unit.concept))
        return read_rows(file) if file.exists() else None


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--concepts", nargs="+", default=["fox", "apple", "house"])
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--paths", type=int, default=40)
    parser.add_argument("--steps", type=int, default=12, help="of the sampler, as in the tasks")


def run(options: Namespace) -> None:
    pipe, judges = load_model(options.model, options.device), shipped_classifiers(options.device)
    bench = Bench(pipe, Denoiser(pipe), detectors(judges), options)
    found = shared_out([*map(Unit, options.concepts)], options.shard, bench.measure)
    if found is not None:
        rows = [row for part in found for row in part]
        write_rows("certificates", options.model, rows, options.out)
