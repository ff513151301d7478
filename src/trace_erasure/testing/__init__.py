"""Tiny random pipelines, built offline in a fraction of a second: for our tests and for yours.

They are real diffusers pipelines (same classes, same layer names, same schedulers) whose weights
are random, so they show whether code works, never whether an image is any good.
"""

from __future__ import annotations

from trace_erasure.testing.erasures import tiny_erasure
from trace_erasure.testing.pipelines import (
    NOISE,
    PREDICTIONS,
    VAE,
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)
from trace_erasure.testing.tokenizers import CAPTIONS, WORDS

__all__ = [
    "CAPTIONS",
    "NOISE",
    "PREDICTIONS",
    "VAE",
    "WORDS",
    "tiny_erasure",
    "tiny_flux",
    "tiny_flux2_klein",
    "tiny_sd3",
    "tiny_sdxl",
    "tiny_stable_diffusion",
]
