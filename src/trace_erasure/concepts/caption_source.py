"""Which captions an erasure was made with, as records hold it."""

from __future__ import annotations

from typing_extensions import TypedDict

WORLD, PHOTOS, GIVEN = "embedded world", "photographs", "given"


class CaptionSource(TypedDict):
    """Which captions were used.

    Attributes:
        list: ``embedded world``, ``emoji-scenes``, ``photographs`` or ``given``.
        count: of captions.
        sha256: of the captions, a line each.
    """

    list: str
    count: int
    sha256: str
