"""Every supported family, in one tuple."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.pipeline.families.aura_flow import AURA_FLOW
from trace_erasure.pipeline.families.chroma import CHROMA
from trace_erasure.pipeline.families.family import Family
from trace_erasure.pipeline.families.flux import FLUX
from trace_erasure.pipeline.families.flux2 import FLUX_2, FLUX_2_DEV
from trace_erasure.pipeline.families.kandinsky5 import KANDINSKY_5
from trace_erasure.pipeline.families.lumina2 import LUMINA_2
from trace_erasure.pipeline.families.pixart import PIXART_SIGMA
from trace_erasure.pipeline.families.qwen_image import QWEN_IMAGE
from trace_erasure.pipeline.families.sana import SANA
from trace_erasure.pipeline.families.sd import STABLE_DIFFUSION
from trace_erasure.pipeline.families.sd3 import STABLE_DIFFUSION_3
from trace_erasure.pipeline.families.sdxl import STABLE_DIFFUSION_XL
from trace_erasure.pipeline.families.wan import WAN
from trace_erasure.pipeline.families.z_image import Z_IMAGE

FAMILIES: tuple[Family, ...] = (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_DIFFUSION_3,
    FLUX,
    FLUX_2,
    FLUX_2_DEV,
    Z_IMAGE,
    QWEN_IMAGE,
    CHROMA,
    SANA,
    PIXART_SIGMA,
    LUMINA_2,
    AURA_FLOW,
    WAN,
    KANDINSKY_5,
)
REFUSED = {
    "OmniGenPipeline": "its language model is its image network, so that no layer reads text alone",
    "GlmImagePipeline": "its prompts become picture tokens and glyphs before the network sees them",
    "CogView4Pipeline": "the timesteps of its network are not its noise levels, on which "
    "stage 2 and the measurements rely",
    "HunyuanImagePipeline": "its guidance is a component that looks back on earlier steps",
    "HiDreamImagePipeline": "each of its blocks reads the prompt from another layer of a language "
    "model, and one edit covers one kind of embedding",
}
"""Pipelines that no row can describe, and why."""

CHECKS = {
    "exact redirect": "the edited model draws the surrogate, to rounding, under guidance",
    "closed doors": "with one stream's edit missing it does not",
    "own sampling": "rollouts are the pipeline's own",
    "same pictures": "states and pictures are the pipeline's own",
    "files": "both stages; plain diffusers draws the same from the file or the merged checkpoint",
}
"""What is verified of families, on small pipelines of the true classes with random weights."""


def verified() -> dict[str, list[str]]:
    """The ``CHECKS`` that each family passes, by the file that the tests go through."""
    return json.loads((files("trace_erasure.pipeline.families") / "verified.json").read_text())


def family_of(pipe: Any) -> Family:
    """The family that ``pipe`` belongs to. Raises ``InputError`` naming the supported ones."""
    name = type(pipe).__name__
    reason = REFUSED.get(name, "")
    for family in FAMILIES:
        if name in family.pipelines:
            reason = family.refuses(pipe)
            if not reason:
                return family
    if reason:
        raise InputError(f"{name} cannot be edited: {reason}. Use another model.")
    supported = ", ".join(sorted(p for family in FAMILIES for p in family.pipelines))
    message = (
        f"{name} is not a supported pipeline. Supported: {supported}. "
        "Pass a text-to-image pipeline loaded with diffusers."
    )
    if hasattr(pipe, "load_lora_weights"):  # image-to-image, inpainting, control networks
        message += (
            " To use an erasure in this pipeline, save it to a file and call "
            "pipe.load_lora_weights(file)."
        )
    raise InputError(message)
