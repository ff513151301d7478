"""ImageNet classifiers: any transformers model with the 1000 classes, from a local folder."""

from __future__ import annotations

import os
from collections import Counter

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import ImageClassifierJudge


class ImageNetJudge(ImageClassifierJudge):
    """An image classifier whose labels are ``imagenet/`` and the first name of the class.

    ``tench, Tinca tinca`` is ``imagenet/tench``. Where two classes share a first name, each keeps
    its position too: ``imagenet/crane 134``.

    Raises:
        InputError: the folder has no complete model, or its classes have no names.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "cpu") -> None:
        super().__init__(path, device)
        if all(label.startswith("LABEL_") for label in self.labels):
            raise InputError(
                f"the classifier at {path} numbers its classes, so nobody knows which is a tench. "
                "Put the class names into id2label in its config.json."
            )
        first = [label.split(",")[0].strip() for label in self.labels]
        often = Counter(first)
        self.labels = tuple(
            f"imagenet/{name}" if often[name] == 1 else f"imagenet/{name} {index}"
            for index, name in enumerate(first)
        )
