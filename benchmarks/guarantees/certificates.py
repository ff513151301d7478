"""Do certificates hold? Event rates of many detectors against the bound on the embedded models.

    make bench-certificates                                # sized to ten minutes on one core
    python benchmarks/certificates.py --model emoji-flux --concepts fox apple

Two certificates, each for TRACE's default, stage 1 alone. ``certificate/retained``: the erased
model against the original on 20 prompts of other things, at several strengths.
``certificate/concept``: the erased model on concept prompts against the original on the surrogate's
prompts, for the default edit and for an untruncated one of a single sentence, where the divergence
is zero up to rounding.

The path divergence bounds the rate of every detector at once. Pictures are then drawn by both
models from the same noise along the certified sampler's paths, and the rates of six detectors
compared: the judges' verdict and confidence, brightness, saturation, edges, colour. Rows go to
benchmarks/results/certificates.jsonl (emoji-flux-certificates.jsonl): metric ``kl`` in nats with
its interval; ``bound``, or ``vacuous_bound`` where it exceeds 0.9 and says next to nothing;
``gap_<detector>``, erased less original, with the interval of paired differences, prompts resampled
whole; ``gap``, the largest; and ``violations``, detectors whose whole interval is beyond the bound.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.core.common import RESULTS, add_model, load_model, row_file, write_rows
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.candidates import PROBE_TEMPLATES
from trace_erasure.concepts.concept import Concept, fill_template
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.evaluation import Row, shipped_classifiers
from trace_erasure.evaluation.tasks.task import Protocol
from trace_erasure.guarantees.path_kl import END, VACUOUS, divergence
from trace_erasure.math.path_divergence import Estimate, detector_bound, mean_estimate
from trace_erasure.math.statistics import bootstrap_interval
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.sampler import fresh, sample, schedule, to_pictures
from trace_erasure.trace.erase import run
from trace_erasure.world import load_world

STRENGTHS = (0.01, 0.02, 0.05, 1.0)
"""The divergence grows with the square: at 0.05 it is about half a nat beside the concept."""
SENTENCE = "a picture of a {x}"
EXACT = ClosedFormConfig(directions=None, keep=4)
"""An embedding of 256 has room for one sentence of a concept and its synonyms, and little else."""
FIRST_SEED = 60_000
NAN = float("nan")


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
    default = run(pipe, EraseConfig((Concept(name),)))
    kept = retained(name, count)
    for strength in STRENGTHS:
        method = f"stage 1 × {strength:g}"
        yield Comparison("certificate/retained", method, default, strength, kept, kept)
    listed = Concept(name, templates=(SENTENCE,))
    exact = run(pipe, EraseConfig((listed,), closed_form=EXACT))
    for method, erasure in (("stage 1 × 1", default), ("exact stage 1", exact)):
        edited, original = redirected(erasure, count)
        yield Comparison("certificate/concept", method, erasure, 1.0, edited, original)


def retained(name: str, count: int) -> tuple[str, ...]:
    names = [thing.name for thing in load_world().objects if thing.name != name]
    return tuple(fill_template(PROBE_TEMPLATES["object"], other) for other in names[:count])


def redirected(erasure: Erasure, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Listed concept prompts, evenly chosen, and the surrogate's in their place."""
    concept = Concept(**erasure.record["spec"]["concepts"][0])
    wordings = concept.wordings()
    count = min(count, len(wordings))
    chosen = [wordings[i * len(wordings) // count] for i in range(count)]
    own = tuple(fill_template(template, phrase) for template, phrase in chosen)
    return own, tuple(fill_template(template, concept.surrogate or "") for template, _ in chosen)


def detectors(judges: Sequence[Any]) -> dict[str, Callable[[Sequence[Image.Image]], np.ndarray]]:
    """Name to a yes or no for each picture."""

    def pixels(images: Sequence[Image.Image]) -> np.ndarray:
        return np.stack([np.asarray(image.convert("RGB"), np.float64) / 255 for image in images])

    def confident(images: Sequence[Image.Image]) -> np.ndarray:
        return (judges[1].classify(images).softmax(1).amax(1) > 0.5).numpy()

    return {
        "even_label": lambda x: (judges[0].classify(x).argmax(1) % 2 == 0).numpy(),
        "confident": confident,
        "bright": lambda x: pixels(x).mean((1, 2, 3)) > 0.8,
        "colourful": lambda x: np.ptp(pixels(x), axis=3).mean((1, 2)) > 0.15,
        "edges": lambda x: np.abs(np.diff(pixels(x), axis=1)).mean((1, 2, 3)) > 0.05,
        "red": lambda x: pixels(x)[..., 0].mean((1, 2)) > pixels(x)[..., 2].mean((1, 2)),
    }


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


def gap(erased: np.ndarray, original: np.ndarray, prompts: int) -> Estimate:
    """Difference of a detector's rates; pictures are paired, and path i shows prompt i modulo
    ``prompts``."""
    values = torch.from_numpy(erased.astype(np.float64) - original.astype(np.float64))
    low, high = bootstrap_interval(values, [i % prompts for i in range(len(values))])
    return Estimate(float(values.mean()), low, high)


def violations(gaps: Mapping[str, Estimate], bound: float) -> list[str]:
    """Detectors whose whole interval is beyond the bound."""
    return [name for name, one in gaps.items() if one.low > bound or one.high < -bound]


def rows_of(kl: Estimate, gaps: Mapping[str, Estimate], like: Row) -> list[Row]:
    """A certificate and what was measured against it."""
    bound = detector_bound(kl.high)
    beyond = len(violations(gaps, bound))
    figures = {
        "kl": kl,
        "vacuous_bound" if bound > VACUOUS else "bound": Estimate(bound, NAN, NAN),
        "gap": Estimate(max(abs(one.value) for one in gaps.values()), NAN, NAN),
        **{f"gap_{name}": one for name, one in gaps.items()},
    }
    rows = [
        replace(like, metric=metric, value=one.value, low=one.low, high=one.high)
        for metric, one in figures.items()
    ]
    counted = dict(value=beyond / len(gaps), numerator=beyond, n=len(gaps))
    return [*rows, replace(like, metric="violations", **counted)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_model(parser)
    parser.add_argument("--concepts", nargs="+", default=["fox", "apple", "house"])
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--paths", type=int, default=40)
    parser.add_argument("--steps", type=int, default=12, help="of the sampler, as in the tasks")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pipe, judges = load_model(options.model, options.device), shipped_classifiers(options.device)
    denoiser, found = Denoiser(pipe), detectors(judges)
    seeds = range(FIRST_SEED, FIRST_SEED + options.paths)
    rows: list[Row] = []
    for name in options.concepts:
        drawn: dict[tuple[str, ...], list[Image.Image]] = {}  # by the original, once a list
        for one in comparisons(pipe, name, options.prompts):
            if one.original not in drawn:
                drawn[one.original] = pictures(denoiser, one.original, seeds, options.steps)
            with one.erasure.attach(pipe, one.strength):
                terms, _ = divergence(
                    denoiser, one.erasure, one.edited, one.original, seeds, steps=options.steps,
                    guidance=shipped.GUIDANCE,
                )  # fmt: skip
                erased = pictures(denoiser, one.edited, seeds, options.steps)
            count = len(one.edited)
            gaps = {
                k: gap(see(erased), see(drawn[one.original]), count) for k, see in found.items()
            }
            protocol = Protocol(
                one.task, "2", f"{count}:{options.paths}", "ancestral", str(options.steps),
                f"{shipped.GUIDANCE:g}", "native", "float32",
            )  # fmt: skip
            like = Row(
                options.model, one.task, one.method, name, "detectors", "", NAN, None,
                options.paths, NAN, NAN, 0, str(protocol),
            )  # fmt: skip
            own = rows_of(mean_estimate(terms.sum(1)), gaps, like)
            rows += own
            said = "  ".join(f"{r.metric} {r.value:.3g}" for r in own if "gap_" not in r.metric)
            print(f"{name:8} {one.task:20} {one.method:14} {said}", flush=True)
        write_rows(row_file("certificates", options.model), rows, options.out)


if __name__ == "__main__":
    main()
