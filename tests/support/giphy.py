"""A stand-in for a checkout of GIPHY's detector: the same modules, calls and files."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "model_training/__init__.py": "",
    "model_training/helpers/__init__.py": "",
    "model_training/preprocessors/__init__.py": "",
    "model_training/preprocessors/face_detection/__init__.py": "",
    "model_training/utils.py": "def preprocess_image(image, size):\n    return image\n",
    "model_training/helpers/labels.py": """
import csv, os

class Labels:
    def __init__(self, resources_path):
        with open(os.path.join(resources_path, "face_recognition", "labels.csv")) as file:
            self.names = sorted(row[0] for row in list(csv.reader(file))[1:])
""",
    "model_training/helpers/face_recognizer.py": """
import os

class FaceRecognizer:
    def __init__(self, labels, resources_path, top_n=5, use_cuda=False):
        self.labels = labels
        file = os.getenv("APP_RECOGNITION_WEIGHTS_FILE")
        assert os.path.exists(os.path.join(resources_path, file))

    def perform(self, faces):
        if not faces:
            return []
        best = 1 if faces[0].mean() > 200 else 0
        order = [best, 1 - best]
        return [([(self.labels.names[i], p) for i, p in zip(order, (0.9, 0.1))], 1.0)]
""",
    "model_training/preprocessors/face_detection/face_detector.py": """
class FaceDetector:
    def __init__(self, resources_path, margin=0.2, use_cuda=False):
        pass

    def perform_single(self, image):
        return [] if image.mean() < 20 else [(image, (0, 0, 1, 1))]
""",
    "examples/resources/face_recognition/best_model_states.pkl": "weights",
}


def write_giphy(folder: Path, people) -> Path:
    """Dark pictures show no face to it, bright ones the second person, others the first."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    rows = [f"{name.replace(' ', '_')}_[m.{i}],{i}" for i, name in enumerate(people)]
    labels = folder / "examples/resources/face_recognition/labels.csv"
    labels.write_text("\n".join(["Labels,Index", *rows]) + "\n")
    return folder
