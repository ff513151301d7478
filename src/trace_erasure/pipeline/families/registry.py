"""Every supported family, in one tuple."""

from __future__ import annotations

from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.pipeline.families.family import Family
from trace_erasure.pipeline.families.flux import FLUX
from trace_erasure.pipeline.families.flux2 import FLUX_2
from trace_erasure.pipeline.families.sd import STABLE_DIFFUSION
from trace_erasure.pipeline.families.sd3 import STABLE_DIFFUSION_3
from trace_erasure.pipeline.families.sdxl import STABLE_DIFFUSION_XL

FAMILIES: tuple[Family, ...] = (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_DIFFUSION_3,
    FLUX,
    FLUX_2,
)


def family_of(pipe: Any) -> Family:
    """The family that ``pipe`` belongs to. Raises ``InputError`` naming the supported ones."""
    name = type(pipe).__name__
    for family in FAMILIES:
        if name in family.pipelines:
            return family
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
