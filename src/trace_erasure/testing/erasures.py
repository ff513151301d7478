"""An erasure on a tiny pipeline, for examples."""

from __future__ import annotations

from diffusers import StableDiffusionPipeline

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.testing.pipelines import tiny_stable_diffusion
from trace_erasure.testing.tokenizers import CAPTIONS
from trace_erasure.trace.erase import erase


def tiny_erasure() -> tuple[StableDiffusionPipeline, Erasure]:
    """``tiny_stable_diffusion()`` and an erasure of *fox* made on it, which shows a dog instead."""
    pipe = tiny_stable_diffusion()
    return pipe, erase(pipe, Concept("fox", surrogate="dog"), captions=CAPTIONS)
