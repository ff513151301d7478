"""A model of one file, in the layout of its own code, with the folder of its base model."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.errors import InputError
from trace_erasure.pipeline.stored import dtype_of, guarded

if TYPE_CHECKING:
    import torch

INDEX = "model_index.json"
PIPELINES = (
    ("xl_base", "StableDiffusionXLPipeline"),
    ("v1", "StableDiffusionPipeline"),
    ("v2", "StableDiffusionPipeline"),
    ("sd3", "StableDiffusion3Pipeline"),
    ("sd35", "StableDiffusion3Pipeline"),
    ("flux-dev", "FluxPipeline"),
    ("flux-schnell", "FluxPipeline"),
)
"""How diffusers' name for the kind of a file begins, and the pipeline that loads it where no folder
of settings says."""


def from_single_file(file: Path, dtype: torch.dtype | None, config: Path | None) -> Any:
    """The pipeline of a single file.

    Args:
        dtype: None is that of the file.
        config: folder of the base model, in diffusers' layout: its settings, and the weights of
            parts that the file lacks. None is the file's own folder where it has settings, else
            the hub or its cache.

    Raises:
        InputError: it cannot be loaded.
    """
    base = config or (file.parent if (file.parent / INDEX).is_file() else None)
    kind = dtype or dtype_of([file])

    def make() -> Any:
        import diffusers

        if base is None:
            return getattr(diffusers, _kind(file)).from_single_file(str(file), dtype=kind)
        settings = json.loads((base / INDEX).read_text("utf-8"))
        pipeline = getattr(diffusers, settings["_class_name"])
        parts = _missing(file, base, settings, kind)
        return pipeline.from_single_file(
            str(file), dtype=kind, config=str(base), local_files_only=True, **parts
        )

    return guarded(
        make,
        f"cannot load the checkpoint {file}",
        "Without a network it needs the folder of its base model, with the settings of every part "
        "and the weights of the parts that it lacks: give it as config, or put the file into it.",
    )


def check_config(config: str | os.PathLike[str] | None) -> Path | None:
    """The folder. Raises ``InputError`` where it is none of a diffusers pipeline."""
    if config is None:
        return None
    folder = Path(config).expanduser()
    if not (folder / INDEX).is_file():
        raise InputError(
            f"config is {str(config)!r}, which is no folder with a {INDEX}. Give the folder of the "
            "model that the single file comes from, as save_pretrained writes it."
        )
    return folder


def _kind(file: Path) -> str:
    """The pipeline class of a file, by the names of its tensors."""
    from diffusers.loaders import single_file_utils
    from safetensors.torch import load_file

    found = single_file_utils.infer_diffusers_model_type(load_file(file))
    for start, pipeline in PIPELINES:
        if found.startswith(start):
            return pipeline
    raise ValueError(f"it holds a model of the kind {found!r}, which is not supported")


def _missing(
    file: Path, base: Path, settings: dict[str, Any], dtype: torch.dtype
) -> dict[str, Any]:
    """The text encoders and the VAE of ``base`` that the file lacks."""
    import diffusers
    import transformers
    from safetensors import safe_open

    with safe_open(file, "pt") as tensors:
        names = set(tensors.keys())
    found, libraries = {}, {"diffusers": diffusers, "transformers": transformers}
    for part, listed in settings.items():
        library, name = map(str, listed) if isinstance(listed, list) else ("", "")
        kind = getattr(libraries.get(library), name, None)
        if isinstance(kind, type) and _lacks(kind, part, names):
            found[part] = kind.from_pretrained(
                base, subfolder=part, dtype=dtype, local_files_only=True, use_safetensors=True
            )
    return found


def _lacks(kind: type, part: str, names: set[str]) -> bool:
    """Whether none of the tensors ``names`` is of this part, a VAE or a text encoder."""
    from diffusers.loaders import single_file_utils as layout
    from transformers import PreTrainedModel

    if part == "vae":
        return not any(name.startswith(tuple(layout.LDM_VAE_KEYS)) for name in names)
    if not issubclass(kind, PreTrainedModel):
        return False
    clip = layout.is_clip_model_in_single_file(kind, names)
    return not (clip or layout.is_t5_in_single_file(names))
