"""The two classifiers of UnlearnCanvas as one judge."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from trace_erasure.evaluation.judges.base import ImageClassifierJudge


class CanvasJudge:
    """A style classifier and an object classifier, each a transformers model in a local folder.

    Labels are ``style/Van Gogh`` and ``object/Dogs``, underlines in the models' own being spaces.

    Raises:
        InputError: a folder has no complete model.
    """

    def __init__(
        self,
        style: str | os.PathLike[str],
        objects: str | os.PathLike[str],
        device: str = "cpu",
    ) -> None:
        self.parts = ImageClassifierJudge(style, device), ImageClassifierJudge(objects, device)
        self.id = "+".join(part.id for part in self.parts)
        self.labels = tuple(
            f"{domain}/{label.replace('_', ' ')}"
            for domain, part in zip(("style", "object"), self.parts, strict=True)
            for label in part.labels
        )

    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """Logits of both side by side, (pictures, labels)."""
        return torch.cat([part.classify(images) for part in self.parts], dim=1)
