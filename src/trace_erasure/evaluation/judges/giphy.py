"""GIPHY's celebrity detector: 2306 people, with the user's copy of its code and weights."""

from __future__ import annotations

import csv
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.extras import file_hash
from trace_erasure.utils.folders import resolved

WEIGHTS = "face_recognition/best_model_states.pkl"
LABELS = "face_recognition/labels.csv"
SIZE, MARGIN = 224, 0.2  # the detector's own
NOBODY = "subject/nothing"
ABSENT = -30.0  # logit of a name that is not among the answers


class GiphyJudge:
    """A ``Judge`` of the first face in a picture; without a face the label is ``subject/nothing``.

    Args:
        path: a checkout of github.com/Giphy/celeb-detection-oss with its resources unpacked in
            ``examples/resources``.

    Raises:
        InputError: its code or its weights are not there, or do not load.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        folder = resolved("the judge's folder", path)
        resources = folder / "examples" / "resources"
        for needed in (folder / "model_training", resources / LABELS, resources / WEIGHTS):
            if not needed.exists():
                raise InputError(
                    f"no GIPHY detector at {path}: {needed.relative_to(folder)} is not there. "
                    "Clone github.com/Giphy/celeb-detection-oss and unpack its resources.tar.gz "
                    "in examples."
                )
        self.detector, self.recognizer, self.preprocess = _load(folder, resources)
        with (resources / LABELS).open(newline="", encoding="utf-8") as file:
            rows = sorted(row[0] for row in list(csv.reader(file))[1:] if row)
        self.names = tuple(map(person, rows))
        self.labels = (*(f"subject/{name}" for name in self.names), NOBODY)
        self.id = f"giphy@{file_hash(resources / WEIGHTS)}"

    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """Log probabilities of the first face's names, (pictures, people + 1)."""
        return torch.stack([self._one(image) for image in images])

    def _one(self, image: Image.Image) -> Tensor:
        logits = torch.full((len(self.labels),), ABSENT)
        faces = self.detector.perform_single(np.asarray(image.convert("RGB")))
        found = self.recognizer.perform([self.preprocess(face, SIZE) for face, *_ in faces])
        if not found:
            logits[-1] = 0
            return logits
        for label, chance in found[0][0]:
            index = self.names.index(person(str(label)))
            logits[index] = max(float(np.log(max(float(chance), 1e-12))), ABSENT)
        return logits


def person(label: str) -> str:
    """``Aaron_Paul_[m.03qj7gf]`` to ``aaron paul``."""
    return label.split("_[", 1)[0].replace("_", " ").lower()


def _load(folder: Path, resources: Path) -> tuple[Any, Any, Any]:
    """The detector's own face finder, recogniser and cropping."""
    sys.path.insert(0, str(folder))
    before = os.environ.get("APP_RECOGNITION_WEIGHTS_FILE")
    os.environ["APP_RECOGNITION_WEIGHTS_FILE"] = WEIGHTS
    try:
        package = "model_training"
        labels = importlib.import_module(f"{package}.helpers.labels").Labels(str(resources))
        recognizer = importlib.import_module(f"{package}.helpers.face_recognizer").FaceRecognizer(
            labels=labels, resources_path=str(resources), top_n=5, use_cuda=False
        )
        finder = importlib.import_module(f"{package}.preprocessors.face_detection.face_detector")
        detector = finder.FaceDetector(str(resources), margin=MARGIN, use_cuda=False)
        preprocess = importlib.import_module(f"{package}.utils").preprocess_image
    except Exception as error:  # whatever its old code raises
        raise InputError(
            f"the GIPHY detector at {folder} does not load: {type(error).__name__}: {error}. "
            "Install what its requirements name, and see metrics/README.md of MACE."
        ) from error
    finally:
        sys.path.remove(str(folder))
        if before is None:
            del os.environ["APP_RECOGNITION_WEIGHTS_FILE"]
        else:
            os.environ["APP_RECOGNITION_WEIGHTS_FILE"] = before
    return detector, recognizer, preprocess
