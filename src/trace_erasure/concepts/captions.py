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


@cache
def world_captions() -> tuple[str, ...]:
    """Captions of the embedded world, for the shipped models alone."""
    text = files("trace_erasure.world").joinpath("captions.txt").read_text("utf-8")
    return tuple(text.splitlines())


@cache
def photo_captions() -> tuple[str, ...]:
    """Captions of photographs, with styles, artists and people, for every other model."""
    data = files(DATA).joinpath("photo_captions.txt.gz").read_bytes()
    return tuple(gzip.decompress(data).decode().splitlines())


def captions_for(denoiser: Denoiser, captions: Sequence[str] | None = None) -> tuple[str, ...]:
    """``captions`` where they are given, else the package's list for this model."""
    if captions is not None:
        return tuple(captions)
    return world_captions() if denoiser.shipped else photo_captions()


def caption_source(captions: tuple[str, ...]) -> CaptionSource:
    """Which list ``captions`` are."""
    known = {world_captions: WORLD, photo_captions: PHOTOS}
    name = next((name for load, name in known.items() if captions == load()), GIVEN)
    digest = hashlib.sha256("\n".join(captions).encode()).hexdigest()
    return {"list": name, "count": len(captions), "sha256": digest}


def that_fit(denoiser: Denoiser, texts: Iterable[str]) -> tuple[str, ...]:
    """``texts`` within the positions of every tokenizer of the model."""
    texts = tuple(texts)
    return tuple(t for t, fits in zip(texts, denoiser.fitting(texts), strict=True) if fits)
