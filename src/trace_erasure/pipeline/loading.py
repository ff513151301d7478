"""A pipeline by its name: a shipped model, or a local folder. Nothing is ever downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.pipeline import shipped
from trace_erasure.utils.quiet_libraries import quiet_loading


def load(model: str) -> Any:
    """The pipeline called ``model``.

    Args:
        model: one of ``pipeline.shipped.PIPELINES``, or a folder that ``save_pretrained`` wrote.

    Raises:
        InputError: it is neither, or the folder cannot be loaded.
    """
    if model in shipped.PIPELINES:
        return shipped.load_pipeline(model)
    folder = Path(model)
    if not (folder / "model_index.json").is_file():
        raise InputError(
            f"model {model!r} is neither a shipped model ({', '.join(shipped.PIPELINES)}) nor a "
            "folder with a diffusers pipeline (one with a model_index.json in it). Nothing is "
            "downloaded: save the pipeline with save_pretrained and give its folder."
        )
    from diffusers import DiffusionPipeline

    try:
        with quiet_loading():
            return DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise InputError(
            f"cannot load the pipeline in {folder}: {error}. Save it again with save_pretrained."
        ) from error
