"""Ordinary captions of a model's domain."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from trace_erasure.concepts.caption_source import GIVEN, PHOTOS, WORLD, CaptionSource
from trace_erasure.concepts.lexicon import DATA
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.shipped import SCENES, SD
from trace_erasure.utils.arguments import check_texts


@cache
def world_captions(model: str = SD) -> tuple[str, ...]:
    """Captions of the embedded world, for the shipped models alone; emoji-scenes has its own."""
    name = "scenes_captions.txt" if model == SCENES else "captions.txt"
    text = files("trace_erasure.world").joinpath(name).read_text("utf-8")
    return tuple(text.splitlines())


@cache
def photo_captions() -> tuple[str, ...]:
    """Captions of photographs, with styles, artists and people, for every other model."""
    data = files(DATA).joinpath("photo_captions.txt.gz").read_bytes()
    return tuple(gzip.decompress(data).decode().splitlines())


def captions_for(denoiser: Denoiser, captions: Sequence[str] | None = None) -> tuple[str, ...]:
    """``captions`` where they are given, else the package's list for this model.

    Raises ``InputError`` for anything but a list of texts.
    """
    if captions is not None:
        return check_texts("captions", captions) or ()
    return world_captions(denoiser.shipped) if denoiser.shipped else photo_captions()


def caption_source(captions: tuple[str, ...]) -> CaptionSource:
    """Which list ``captions`` are."""
    known = {WORLD: world_captions(), SCENES: world_captions(SCENES), PHOTOS: photo_captions()}
    name = next((name for name, listed in known.items() if captions == listed), GIVEN)
    digest = hashlib.sha256("\n".join(captions).encode()).hexdigest()
    return {"list": name, "count": len(captions), "sha256": digest}


def that_fit(denoiser: Denoiser, texts: Iterable[str]) -> tuple[str, ...]:
    """``texts`` within the positions of every tokenizer of the model."""
    texts = tuple(texts)
    return tuple(t for t, fits in zip(texts, denoiser.fitting(texts), strict=True) if fits)
