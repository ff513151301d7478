"""The embedded models: small, real diffusers pipelines and their judges.

Their weights are a distribution of their own, ``trace-erasure-world``.
"""

from __future__ import annotations

from pathlib import Path

from trace_erasure.errors import InputError

PIPELINES = ("emoji-sd", "emoji-flux")
CLASSIFIERS = ("judges/resnet", "judges/regnet")
CLIP = "judges/clip"
STEPS = 20
GUIDANCE = 3.5
LATENT_SIDE = 16


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
