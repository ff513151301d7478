"""Ordinary captions of a model's domain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files


@cache
def broad_captions() -> tuple[str, ...]:
    """The captions that ship with the package, one a line."""
    text = files("trace_erasure.world").joinpath("captions.txt").read_text("utf-8")
    return tuple(text.splitlines())


def captions_or_broad(captions: Sequence[str] | None) -> tuple[str, ...]:
    """``captions`` where they are given, else ``broad_captions``."""
    return broad_captions() if captions is None else tuple(captions)
