"""dlib's face descriptor: how far two faces are those of one person."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trace_erasure.evaluation.judges.extras import file_hash, optional, package_folder, version_of

EXTRA = "faces"
WIDTH = 128
SAME = 0.6  # distance below which dlib takes two faces for one person's


class FaceFeatures:
    """An ``Extractor``: the descriptor of the largest face; ``nan`` without a face.

    The weights are those of ``face_recognition_models``, whose own code is not run.

    Raises:
        InputError: a package is absent.
    """

    def __init__(self) -> None:
        dlib = optional("dlib", EXTRA)
        folder = package_folder("face_recognition_models", EXTRA) / "models"
        weights = folder / "dlib_face_recognition_resnet_model_v1.dat"
        landmarks = folder / "shape_predictor_5_face_landmarks.dat"
        self.find = dlib.get_frontal_face_detector()
        self.landmarks = dlib.shape_predictor(str(landmarks))
        self.describe = dlib.face_recognition_model_v1(str(weights))
        self.id = f"dlib-{version_of('dlib-bin', EXTRA)}@{file_hash(weights)}"

    def features(self, images: Sequence[Image.Image]) -> Tensor:
        """Descriptors, float64 of shape (pictures, 128)."""
        rows = [self._one(np.array(image.convert("RGB"))) for image in images]
        return torch.tensor(np.array(rows), dtype=torch.float64).reshape(-1, WIDTH)

    def _one(self, pixels: np.ndarray) -> np.ndarray:
        faces = list(self.find(pixels, 1))  # enlarged once, as it overlooks small faces
        if not faces:
            return np.full(WIDTH, np.nan)
        face = max(faces, key=lambda box: box.area())
        return np.array(self.describe.compute_face_descriptor(pixels, self.landmarks(pixels, face)))
