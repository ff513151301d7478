"""Judges: models that classify or score pictures. Their weights always come from a path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.pipeline import shipped
from trace_erasure.utils.folders import resolved
from trace_erasure.utils.quiet_libraries import quiet_loading

BATCH = 64


@runtime_checkable
class Judge(Protocol):
    """Classifies pictures.

    Attributes:
        id: name and weight hash, for example ``resnet@0c1d2e3f4a5b``.
        labels: name of each logit. Those with the same prefix before ``/`` exclude each other,
            unless the judge is multi-label; see ``is_multi_label``.
    """

    @property
    def id(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]: ...

    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """Logits, float32 of shape (pictures, labels)."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores how well pictures fit texts."""

    @property
    def id(self) -> str: ...

    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        """One number for each picture and its text, float32 of shape (pictures,)."""
        ...


@dataclass(frozen=True)
class Detection:
    """One thing found in a picture."""

    label: str
    score: float

    def __str__(self) -> str:
        return f"{self.label} {self.score:.3f}"

    @classmethod
    def parse(cls, text: str) -> Detection:
        label, score = text.rsplit(" ", 1)
        return cls(label, float(score))


@runtime_checkable
class Detector(Protocol):
    """Finds things in pictures, any number in each.

    Attributes:
        counted: the classes that count as seeing the concept.
        threshold: the score at which they do. Weaker detections are reported too, so that other
            thresholds can be tried on the same verdicts.
    """

    @property
    def id(self) -> str: ...

    @property
    def counted(self) -> tuple[str, ...]: ...

    @property
    def threshold(self) -> float: ...

    def detect(self, images: Sequence[Image.Image]) -> list[list[Detection]]:
        """The detections of each picture, best first."""
        ...


Evaluator = Judge | Scorer | Detector


def label_groups(labels: Sequence[str]) -> dict[str, list[int]]:
    """Prefix before ``/`` to the positions of its labels; all of them under ``""`` without one."""
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(group_of(label), []).append(index)
    return groups


def group_of(label: str) -> str:
    return label.split("/", 1)[0] if "/" in label else ""


def is_multi_label(judge: Any) -> bool:
    """Whether each label of ``judge`` is a yes or no of its own, whatever the others say."""
    return bool(getattr(judge, "multi_label", False))


def probabilities(logits: Tensor, labels: Sequence[str], multi_label: bool = False) -> Tensor:
    """A softmax for each label group: every group of a row sums to one.

    With ``multi_label`` a sigmoid for each label.
    """
    if multi_label:
        return logits.sigmoid()
    result = torch.empty_like(logits)
    for index in label_groups(labels).values():
        result[:, index] = logits[:, index].softmax(-1)
    return result


def weights_id(path: Path) -> str:
    """``folder@hash`` over the weights, and over what decides their meaning (labels, resizing)."""
    digest = hashlib.sha256()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*config.json")]):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"{path.name}@{digest.hexdigest()[:12]}"


def pixel_values(images: Sequence[Image.Image], size: int | None) -> Tensor:
    """RGB values in -1..1, float32 of shape (n, 3, height, width), resized to ``size`` if given."""
    arrays = []
    for image in images:
        image = image.convert("RGB")
        if size is not None and image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.LANCZOS)
        arrays.append(np.asarray(image, np.float32) / 127.5 - 1)
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def load_model(auto_class: Any, path: str | os.PathLike[str], device: str) -> tuple[Any, Path]:
    """A model in float32 and eval mode whose every weight was in the folder."""
    folder = resolved("the judge's folder", path)
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise InputError(
            f"no judge at {path}: config.json and a .safetensors file are needed there. "
            "Give the folder of a model saved with save_pretrained."
        )
    with quiet_loading():
        model, loaded = auto_class.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    # Weights that are not in the file would be random, and the verdicts with them.
    missing = sorted(loaded["missing_keys"])
    if missing:
        raise InputError(
            f"the judge at {path} lacks {len(missing)} of its weights, {missing[0]} among them. "
            "Give a folder with the complete model."
        )
    return model.to(device).eval(), folder


class ImageClassifierJudge:
    """Any transformers image classifier in a local folder.

    With a ``preprocessor_config.json`` there, pictures go through that image processor; else RGB
    values in -1..1 do, resized where the model has a fixed size. A model whose ``problem_type`` is
    ``multi_label_classification`` says of each label by itself whether a picture shows it.

    Raises:
        InputError: the folder has no complete model.
    """

    def __init__(self, path: str | os.PathLike[str], device: str = "cpu") -> None:
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        self.model, folder = load_model(AutoModelForImageClassification, path, device)
        self.processor = None
        if (folder / "preprocessor_config.json").is_file():
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        self.id = weights_id(folder)
        self.multi_label = self.model.config.problem_type == "multi_label_classification"
        names = self.model.config.id2label
        self.labels = tuple(names[index] for index in range(len(names)))

    @torch.no_grad()
    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """Logits, (pictures, labels)."""
        parts = [images[i : i + BATCH] for i in range(0, len(images), BATCH)]
        logits = [
            self.model(pixel_values=self._pixels(part).to(self.model.device)).logits.cpu()
            for part in parts
        ]
        return torch.cat(logits) if logits else torch.empty(0, len(self.labels))

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        if self.processor is None:
            return pixel_values(images, getattr(self.model.config, "image_size", None))
        pictures = [image.convert("RGB") for image in images]
        return self.processor(images=pictures, return_tensors="pt")["pixel_values"]


class ClipJudge:
    """A CLIP model in a local folder, with its tokenizer: CLIP scores, and zero-shot labels.

    Args:
        path: the folder.
        labels: label to the text that stands for it, for example
            ``{"object/cat": "a photo of the cat"}``; logits are CLIP scores with these texts. Of
            several texts a label has the probability of all together. Without, it only scores.

    Raises:
        InputError: the folder has no complete model.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels: Mapping[str, str | Sequence[str]] | None = None,
        device: str = "cpu",
    ) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        self.model, folder = load_model(CLIPModel, path, device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.processor = None
        if (folder / "preprocessor_config.json").is_file():
            self.processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
        labels = dict(labels or {})
        self.labels = tuple(labels)
        lists = [[texts] if isinstance(texts, str) else list(texts) for texts in labels.values()]
        self.texts = [text for texts in lists for text in texts]
        self.counts = [len(texts) for texts in lists]
        self.id = weights_id(folder)
        if labels:
            self.id += f"+{hashlib.sha256(repr(labels).encode()).hexdigest()[:6]}"

    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        """CLIP score of each picture with its text, 100 cos, (pictures,)."""
        scores = [torch.empty(0)]
        for i in range(0, len(images), BATCH):
            pictures, words = self._embed(images[i : i + BATCH], texts[i : i + BATCH])
            scores.append(100 * (pictures * words).sum(-1))
        return torch.cat(scores)

    def classify(self, images: Sequence[Image.Image]) -> Tensor:
        """CLIP scores with the label texts, (pictures, labels); of several, their logsumexp."""
        scores = [torch.empty(0, len(self.labels))]
        for i in range(0, len(images), BATCH):
            pictures, words = self._embed(images[i : i + BATCH], self.texts)
            parts = (100 * pictures @ words.T).split(self.counts, dim=1)
            scores.append(torch.stack([part.logsumexp(1) for part in parts], dim=1))
        return torch.cat(scores)

    @torch.no_grad()
    def _embed(self, images: Sequence[Image.Image], texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Unit vectors of pictures and texts."""
        if self.processor is None:
            pixels = pixel_values(images, self.model.config.vision_config.image_size)
        else:
            pictures = [image.convert("RGB") for image in images]
            pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"]
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        device = self.model.device
        output = self.model(
            input_ids=tokens["input_ids"].to(device),
            attention_mask=tokens["attention_mask"].to(device),
            pixel_values=pixels.to(device),
        )
        return output.image_embeds.cpu(), output.text_embeds.cpu()


def shipped_classifiers(device: str = "cpu") -> list[ImageClassifierJudge]:
    """Two classifiers of different architecture, for the shipped pipelines."""
    return [ImageClassifierJudge(shipped.path(name), device) for name in shipped.CLASSIFIERS]


def shipped_judges(device: str = "cpu") -> list[Judge | Scorer]:
    """Everyone who judges the shipped pipelines: the classifiers, and CLIP for scores."""
    return [*shipped_classifiers(device), ClipJudge(shipped.path(shipped.CLIP), device=device)]
