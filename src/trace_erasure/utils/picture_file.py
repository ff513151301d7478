"""Pictures from files, read with limits: whatever they hold, one error names the file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from trace_erasure.errors import InputError

LARGEST = 2**26
"""Pixels of a picture."""


def read_picture(path: str | os.PathLike[str]) -> Image.Image:
    """The picture at ``path``, RGB. Raises ``InputError`` for a file that is none, or not whole."""
    check_picture(path)  # decoding alone takes pictures that lack their end
    with _opened(path) as image:
        return image.convert("RGB")


def check_picture(path: str | os.PathLike[str]) -> None:
    """Raises ``InputError`` for a file that is no picture or not whole, without decoding it."""
    with _opened(path) as image:
        image.verify()


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > LARGEST:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                yield image
    except Exception as error:  # Pillow's decoders raise whatever they stumble over
        raise InputError(
            f"{path} is no picture that can be used ({error or type(error).__name__}). Make it "
            "again, or delete it."
        ) from error
