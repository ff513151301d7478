"""Feature extractors for distances between sets of pictures: weights from a local path only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import BATCH, load_model, weights_id
from trace_erasure.evaluation.judges.extras import file_hash
from trace_erasure.utils.quiet_libraries import quiet_loading

SIDE = 299


class InceptionFeatures:
    """The 2048 features of FID: the TorchScript Inception of 2015 that clean-fid uses too.

    Pictures are resized to 299x299 by PIL's bicubic filter in floating point, channel by channel,
    which is clean-fid's default (Parmar et al., CVPR 2022).

    Args:
        path: ``inception-2015-12-05.pt``.

    Raises:
        InputError: there is no such file, or it is no TorchScript network with ``layers``.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "cpu") -> None:
        file = Path(path)
        if not file.is_file():
            raise InputError(
                f"no Inception weights at {path}. Give the path of inception-2015-12-05.pt; "
                "FID with other or random weights is another figure."
            )
        try:
            self.layers = torch.jit.load(str(file), map_location=device).eval().layers
        except (RuntimeError, AttributeError) as error:
            raise InputError(
                f"{path} is no TorchScript Inception. Give inception-2015-12-05.pt, the file that "
                "clean-fid and StyleGAN use."
            ) from error
        self.device = device
        self.id = f"inception@{file_hash(file)}/pil-bicubic-{SIDE}"

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> Tensor:
        """Features, float64 of shape (pictures, 2048)."""
        rows = []
        for i in range(0, len(images), BATCH):
            pixels = np.stack([_resized(image) for image in images[i : i + BATCH]])
            batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(self.device)
            rows.append(self.layers((batch - 128) / 128).flatten(1).double().cpu())
        return torch.cat(rows)


def _resized(image: Image.Image) -> np.ndarray:
    """(299, 299, 3) in 0..255, not rounded."""
    channels = [
        Image.fromarray(np.asarray(band, np.float32)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        for band in image.convert("RGB").split()
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


class VisionFeatures:
    """The pooled features of a transformers vision model in a local folder, such as DINOv2.

    Raises:
        InputError: the folder has no complete model, or no ``preprocessor_config.json``.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "cpu") -> None:
        from transformers import AutoImageProcessor, AutoModel

        self.model, folder = load_model(AutoModel, path, device)
        if not (folder / "preprocessor_config.json").is_file():
            raise InputError(
                f"no preprocessor_config.json at {path}: how pictures are resized decides the "
                "features. Put the one of the model there."
            )
        with quiet_loading():
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        self.id = weights_id(folder)

    @torch.no_grad()
    def features(self, images: Sequence[Image.Image]) -> Tensor:
        """Features, float64 of shape (pictures, width)."""
        rows = []
        for i in range(0, len(images), BATCH):
            pictures = [image.convert("RGB") for image in images[i : i + BATCH]]
            pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"]
            output = self.model(pixel_values=pixels.to(self.model.device))
            rows.append(output.pooler_output.flatten(1).double().cpu())
        return torch.cat(rows)
