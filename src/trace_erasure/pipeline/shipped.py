"""The models that ship with the package: small, real diffusers pipelines and their judges."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.utils.quiet_libraries import quiet_loading

PIPELINES = ("emoji-sd", "emoji-flux")
CLASSIFIERS = ("judges/resnet", "judges/regnet")
CLIP = "judges/clip"
STEPS = 20
GUIDANCE = 3.5
LATENT_SIDE = 16


def path(name: str) -> Path:
    """Folder of a shipped model, for example ``emoji-sd`` or ``judges/resnet``."""
    folder = Path(str(files("trace_erasure"))) / "models" / name
    if not folder.is_dir():
        raise InputError(
            f"there is no shipped model {name!r}. Pipelines: {', '.join(PIPELINES)}; "
            f"judges: {', '.join((*CLASSIFIERS, CLIP))}."
        )
    return folder


def load_pipeline(name: str = "emoji-sd") -> Any:
    """A shipped pipeline in float32 on the CPU; no network is used."""
    import torch
    from diffusers import DiffusionPipeline

    folder = path(name)
    with quiet_loading():
        pipe = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    if hasattr(pipe, "default_sample_size"):  # FluxPipeline's own draws a megapixel
        pipe.default_sample_size = LATENT_SIDE
    return pipe
