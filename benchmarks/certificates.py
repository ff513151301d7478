"""Do certificates hold? Event rates of many detectors against the bound on the embedded model.

    python benchmarks/certificates.py --concepts fox apple

For each erasure and strength, the path divergence on retained prompts gives a bound on every
detector. The same paths' pictures are then drawn by both models, and six detectors' rates compared:
the judges' verdict and confidence, brightness, saturation, edges, colour of the background. Rows go
to benchmarks/results/certificates.jsonl: task ``certificate``; metric ``bound``, and ``gap`` (the
largest difference of any detector's rate) with ``gap_<detector>``. Weak erasures have bounds that
say something; the full one's is printed too, vacuous or not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from common import MODEL, RESULTS, load_model, write_rows
from trace_erasure import embedded
from trace_erasure.concept import Concept, fill
from trace_erasure.denoiser import Denoiser
from trace_erasure.erase import run
from trace_erasure.evaluate import Row, shipped_classifiers
from trace_erasure.evaluate.task import Protocol
from trace_erasure.guarantees.statistical import END, divergence
from trace_erasure.math.paths import detector_bound, mean_estimate
from trace_erasure.neighbours import FRAMES
from trace_erasure.sampler import fresh, sample, schedule, to_pictures
from trace_erasure.spec import EraseSpec
from trace_erasure.world import load_world

STRENGTHS = (0.02, 0.05, 0.1, 1.0)
FIRST_SEED = 60_000


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
        final = sample(denoiser, own, empty, states, plan, embedded.GUIDANCE, generators)
        found += to_pictures(denoiser, final)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concepts", nargs="+", default=["fox", "apple", "house"])
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--paths", type=int, default=60)
    parser.add_argument("--steps", type=int, default=embedded.STEPS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pipe, judges = load_model(), shipped_classifiers()
    denoiser, found = Denoiser(pipe), detectors(judges)
    rows: list[Row] = []
    for name in options.concepts:
        erasure = run(pipe, EraseSpec((Concept(name),), finetune=None))
        names = [thing.name for thing in load_world().objects if thing.name != name]
        prompts = [fill(FRAMES["object"], other) for other in names[: options.prompts]]
        seeds = range(FIRST_SEED, FIRST_SEED + options.paths)
        original = pictures(denoiser, prompts, seeds, options.steps)
        for strength in STRENGTHS:
            with erasure.attach(pipe, strength):
                terms, _ = divergence(
                    denoiser, erasure, prompts, prompts, seeds, steps=options.steps,
                    guidance=embedded.GUIDANCE,
                )  # fmt: skip
                erased = pictures(denoiser, prompts, seeds, options.steps)
            bound = detector_bound(mean_estimate(terms.sum(1)).high)
            gaps = {
                key: abs(float(np.mean(see(erased)) - np.mean(see(original))))
                for key, see in found.items()
            }
            protocol = Protocol(
                "certificate", "1", f"{len(prompts)}:{options.paths}", "ancestral",
                str(options.steps), str(embedded.GUIDANCE), "native", "float32",
            )  # fmt: skip
            figures = {"bound": bound, "gap": max(gaps.values())}
            figures |= {f"gap_{key}": value for key, value in gaps.items()}
            for metric, value in figures.items():
                rows.append(
                    Row(
                        MODEL, "certificate", f"stage 1 only × {strength}", name, "detectors",
                        metric, value, None, options.paths, float("nan"), float("nan"), 0,
                        str(protocol),
                    )
                )  # fmt: skip
            verdict = "within" if figures["gap"] <= bound else "BEYOND"
            print(
                f"{name:8} × {strength:<5} bound {bound:.3f}  gap {figures['gap']:.3f}  {verdict}"
            )
        write_rows("certificates", rows, options.out)


if __name__ == "__main__":
    main()
