"""A tiny pipeline of every family: the true diffusers classes with random weights, offline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from trace_erasure.testing import chat_pipelines as chat
from trace_erasure.testing import gemma_pipelines as gemma
from trace_erasure.testing import t5_pipelines as t5
from trace_erasure.testing.parts import POSITIONS
from trace_erasure.testing.pipelines import (
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)

BUILDERS: dict[str, Callable[..., Any]] = {
    "stable-diffusion": tiny_stable_diffusion,
    "stable-diffusion-xl": tiny_sdxl,
    "stable-diffusion-3": tiny_sd3,
    "flux": tiny_flux,
    "flux-2": partial(tiny_flux2_klein, width=48),
    "z-image": chat.z_image,
    "qwen-image": chat.qwen_image,
    "flux-2-dev": chat.flux2_dev,
    "chroma": t5.chroma,
    "sana": gemma.sana,
    "pixart-sigma": t5.pixart_sigma,
    "lumina-2": gemma.lumina_2,
    "aura-flow": t5.aura_flow,
    "wan": t5.wan,
    "kandinsky-5": chat.kandinsky_5,
}
"""A tiny pipeline for each row of the table, by the family's name."""


def tiny(name: str, seed: int = 0, **changes: int) -> Any:
    """The tiny pipeline of a family; the same ``seed`` gives the same weights.

    Args:
        name: of the family, as ``trace-erasure ls families`` lists it.
        seed: of the weights.
        changes: ``width`` of the token embeddings, ``positions`` of a prompt.

    >>> from trace_erasure.testing.families import tiny
    >>> type(tiny("z-image")).__name__
    'ZImagePipeline'
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BUILDERS[name](**{"positions": POSITIONS, **changes})
