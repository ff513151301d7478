"""Ordinary captions of a model's domain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files

from trace_erasure.pipeline.denoiser import Denoiser


@cache
def broad_captions() -> tuple[str, ...]:
    """The captions that ship with the package, one a line."""
    text = files("trace_erasure.world").joinpath("captions.txt").read_text("utf-8")
    return tuple(text.splitlines())


def captions_or_broad(captions: Sequence[str] | None) -> tuple[str, ...]:
    """``captions`` where they are given, else ``broad_captions``."""
    return broad_captions() if captions is None else tuple(captions)


def that_fit(denoiser: Denoiser, texts: Iterable[str]) -> tuple[str, ...]:
    """``texts`` within the positions of every tokenizer of the model."""
    texts = tuple(texts)
    return tuple(t for t, fits in zip(texts, denoiser.fitting(texts), strict=True) if fits)
