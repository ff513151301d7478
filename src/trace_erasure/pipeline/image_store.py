"""Pictures on disk, named by everything that decides them, so that nothing is drawn twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from trace_erasure.errors import InputError
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.picture_file import check_picture, read_picture

log = logging.getLogger("trace_erasure")


class ImageStore:
    """A folder of PNG files, one for each picture id."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        make_folder(self.folder)

    def path(self, image_id: str) -> Path:
        return self.folder / f"{image_id}.png"

    def __contains__(self, image_id: str) -> bool:
        """Whether the picture is there and whole; a damaged one is to be drawn again."""
        path = self.path(image_id)
        if not path.exists():
            return False
        try:
            check_picture(path)
        except InputError as error:
            log.warning("%s It is drawn again.", error)
            return False
        return True

    def load(self, image_id: str) -> Image.Image:
        """The stored picture. Raises ``InputError`` when there is none, or none that is whole."""
        path = self.path(image_id)
        if not path.exists():
            raise InputError(
                f"no picture {image_id} in {self.folder}. Generate it again, or point to the "
                "folder that the verdicts were made with."
            )
        return read_picture(path)

    def save(self, image_id: str, image: Image.Image) -> None:
        """Writes a complete file or none. Raises ``InputError`` where it cannot."""
        with atomic(self.path(image_id)) as partial:
            image.save(partial, format="PNG")


def batch_ids(
    model: str, prompts: Sequence[str], seeds: Sequence[int], settings: dict[str, Any]
) -> list[str]:
    """The names of a batch's pictures: hashes of everything that decides their pixels.

    Their companions are part of it, since the last bits of a picture depend on the shape of the
    batch that it was drawn in.
    """
    unit = json.dumps([model, list(prompts), list(seeds), settings], sort_keys=True, default=str)
    digest = hashlib.sha256(unit.encode()).hexdigest()
    return [
        hashlib.sha256(f"{digest} {seed} {prompt}".encode()).hexdigest()[:24]
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
