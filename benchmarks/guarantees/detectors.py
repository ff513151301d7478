"""Detectors of anything in a picture, and how far two models' rates of them may differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from trace_erasure.evaluation import Row
from trace_erasure.guarantees.path_kl import VACUOUS
from trace_erasure.math.path_divergence import detector_bound
from trace_erasure.math.statistics import Estimate, bootstrap_interval

NAN = float("nan")
Detector = Callable[[Sequence[Image.Image]], np.ndarray]
"""A yes or no for each picture."""


def detectors(judges: Sequence[Any]) -> dict[str, Detector]:
    """Two of the judges' verdicts, and four of pixels, by name."""

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
