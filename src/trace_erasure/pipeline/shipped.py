"""The embedded models: small, real diffusers pipelines and their judges.

Their weights are a distribution of their own, ``trace-erasure-world``.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from trace_erasure.errors import InputError

SD, FLUX, SCENES = "emoji-sd", "emoji-flux", "emoji-scenes"
PIPELINES = (SD, FLUX, SCENES)
CLASSIFIERS = ("judges/resnet", "judges/regnet")
CLIP = "judges/clip"
STEPS = 20
GUIDANCE = 3.5
LATENT_SIDE = 16
TOKEN_EMBEDDINGS = {
    SD: ("e59f6a9b21b631e4", "2c189df38649b75c"),
    FLUX: ("4d453389ff375090", "569fbd51a8cc879b"),
    SCENES: ("1f155c32b38deb66", "11afd5a36009d846"),
}
"""Digests of each shipped model's token embedding in float16 and bfloat16."""
LARGEST_VOCABULARY = 4096
"""Rows of a token embedding: a larger one is of no shipped model, and is not hashed."""


def models_folder() -> Path:
    """The folder of all embedded models.

    Raises:
        InputError: ``trace-erasure-world`` is not installed.
    """
    try:
        from trace_erasure_world import MODELS
    except ImportError as error:
        raise InputError(
            "the embedded models are not installed. Install them with `pip install "
            "trace-erasure-world`, in a clone with `pip install -e world`; or give a folder with a "
            "model of your own."
        ) from error
    return MODELS


def path(name: str) -> Path:
    """The folder of an embedded model, for example ``emoji-sd`` or ``judges/resnet``.

    Raises:
        InputError: there is none of that name, or ``trace-erasure-world`` is not installed.
    """
    folder = models_folder() / name
    if not folder.is_dir():
        raise InputError(
            f"there is no shipped model {name!r}. Pipelines: {', '.join(PIPELINES)}; "
            f"judges: {', '.join((*CLASSIFIERS, CLIP))}."
        )
    return folder


def model_by_words(pipe: Any) -> str | None:
    """The shipped model whose token embedding the pipeline's first text encoder has, or None.

    Whatever is attached to its network or baked into it, such a model speaks of the embedded world.
    """
    import torch

    from trace_erasure.pipeline.fingerprint import original_rows, tensor_bytes

    if pipe.text_encoder is None or pipe.tokenizer is None:
        return None
    rows = original_rows(pipe).detach()
    if len(rows) > LARGEST_VOCABULARY or rows.is_meta:
        return None
    halves = (torch.float16, torch.bfloat16)
    found = {hashlib.sha256(tensor_bytes(rows.to(half))).hexdigest()[:16] for half in halves}
    return next((name for name, known in TOKEN_EMBEDDINGS.items() if found & {*known}), None)
