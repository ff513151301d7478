"""Figures of whole sets of pictures, and of pictures beside the original model's."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.extras import file_hash
from trace_erasure.evaluation.judges.faces import SAME, FaceFeatures
from trace_erasure.evaluation.metrics import per_concept
from trace_erasure.evaluation.metrics.summary import row
from trace_erasure.evaluation.runs.records import Row, Verdict
from trace_erasure.evaluation.tasks.task import KEPT
from trace_erasure.math.frechet import frechet, jackknife_interval, kernel_distance
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.picture_file import read_picture
from trace_erasure.utils.progress import progress

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
BATCH = 64
GROUPS = (("e", "erased"), ("s", "retained"))


class Extractor(Protocol):
    """Turns pictures into features. Its id names weights and resizing."""

    @property
    def id(self) -> str: ...

    def features(self, images: Sequence[Image.Image]) -> Tensor:
        """Float64 of shape (pictures, width); ``nan`` rows where there is nothing to describe."""
        ...


@dataclass(frozen=True)
class Reference:
    """Features of the pictures that others are compared with, and where they come from."""

    id: str
    features: Tensor
    extractor: str

    @classmethod
    def of_folder(cls, folder: str | os.PathLike[str], extractor: Extractor) -> Reference:
        """Of every picture in a folder, by name.

        Raises ``InputError`` without any, and for one that cannot be read.
        """
        place = Path(folder)
        paths = sorted(path for path in place.glob("*") if path.suffix.lower() in PICTURES)
        if not paths:
            raise InputError(f"no pictures in {folder}. Give the folder of the reference pictures.")
        digest, parts = hashlib.sha256(), []
        for i in progress(range(0, len(paths), BATCH), desc="reference"):
            batch = paths[i : i + BATCH]
            for path in batch:
                digest.update(file_hash(path).encode())
            parts.append(extractor.features([read_picture(path) for path in batch]))
        name = f"{place.resolve().name}:{len(paths)}@{digest.hexdigest()[:12]}"
        return cls(name, torch.cat(parts), extractor.id)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the features to a safetensors file, so that they need not be made again."""
        with atomic(Path(path)) as partial:
            about = {"id": self.id, "extractor": self.extractor}
            save_file({"features": self.features.contiguous()}, partial, about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Reference:
        """The inverse of ``save``. Raises ``InputError`` for another file."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
            features = load_file(path)["features"]
            reference = cls(about["id"], features, about["extractor"])
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"no reference features at {path}. Make them with Reference.of_folder(…).save(…)."
            ) from error
        if features.dim() != 2 or not features.is_floating_point() or features.isinf().any():
            raise InputError(
                f"the features at {path} are damaged. Make them again with "
                "Reference.of_folder(…).save(…)."
            )
        return reference


def set_distances(
    verdicts: Sequence[Verdict],
    store: ImageStore,
    extractor: Extractor,
    reference: Reference,
) -> list[Row]:
    """FID and KID of a run's retained pictures (all, where nothing is retained) to ``reference``.

    Features, resizing and reference stand in the row's judge, so that others share no table.

    Args:
        verdicts: of one run and concept; each picture counts once, whoever judged it.

    Raises:
        InputError: the reference was made by another extractor, or there are no pictures.
    """
    if reference.extractor != extractor.id:
        raise InputError(
            f"the reference was made with {reference.extractor}, and these pictures with "
            f"{extractor.id}. Make it again with the same."
        )
    chosen = [v for v in verdicts if v.group == "retain"] or list(verdicts)
    if not chosen:
        raise InputError("no verdicts: evaluate the task first.")
    images = {v.item: v.image for v in chosen}
    found = _features(list(images.values()), store, extractor)
    like = replace(chosen[0], judge=f"{extractor.id} to {reference.id}")
    result = []
    for metric, distance, scale in (("fid", frechet, 1.0), ("kid", kernel_distance, 1000.0)):
        low, high = jackknife_interval(distance, found, reference.features)
        value = distance(found, reference.features)
        figure = scale * value, None, len(found), scale * low, scale * high
        result.append(row(like, metric, figure))
    return result


def paired_distances(
    verdicts: Sequence[Verdict],
    base: Sequence[Verdict],
    store: ImageStore,
    extractor: Extractor | None = None,
) -> list[Row]:
    """How far each picture is from the original model's at the same prompt and seed, by concept.

    Without an extractor the distance is the root mean square of pixel differences, 0 to 255; with
    one, Euclidean between features. With ``FaceFeatures`` pictures without a face leave the
    distance, n says how many pairs are left, and ``same_face`` counts, over all pictures whose
    original shows a face, those whose face is the same person's.

    Raises:
        InputError: ``base`` lacks an item.
    """
    original = {(v.concept, v.item): v for v in base}
    result: list[Row] = []
    concepts = dict.fromkeys(v.concept for v in verdicts)
    for concept in concepts:
        mine = list({v.item: v for v in verdicts if v.concept == concept}.values())
        if missing := [v for v in mine if (concept, v.item) not in original]:
            raise InputError(
                f"{len(missing)} of {len(mine)} items of {concept!r} are not among the original "
                "model's. Evaluate it on the same task."
            )
        for end, group in GROUPS:
            chosen = [v for v in mine if (v.group in KEPT) == (group == "retained")]
            if not chosen:
                continue
            first = [original[concept, v.item].image for v in chosen]
            far, comparable = _far([v.image for v in chosen], first, store, extractor)
            pairs = [(v, d) for v, d in zip(chosen, far, strict=True) if not math.isnan(d)]
            figure = per_concept.mean([d for _, d in pairs], [v.prompt for v, _ in pairs])
            like = replace(chosen[0], judge=extractor.id if extractor else "pixels")
            result.append(row(like, f"distance_{end}", figure))
            if isinstance(extractor, FaceFeatures):
                with_face = [v for v, shows in zip(chosen, comparable, strict=True) if shows]
                by_item = {v.item: d for v, d in pairs}
                same = per_concept.rate(
                    with_face, lambda v, by_item=by_item: by_item.get(v.item, math.inf) < SAME
                )
                result.append(row(like, f"same_face_{end}", same))
    return result


def _far(
    mine: Sequence[str], base: Sequence[str], store: ImageStore, extractor: Extractor | None
) -> tuple[list[float], list[bool]]:
    """Distance of each pair, and whether the original has features at all."""
    if extractor is None:
        return [_pixels(store, a, b) for a, b in zip(mine, base, strict=True)], [True] * len(mine)
    after, before = _features(mine, store, extractor), _features(base, store, extractor)
    return (after - before).norm(dim=1).tolist(), (~before.isnan().any(1)).tolist()


def _pixels(store: ImageStore, one: str, other: str) -> float:
    arrays = [
        torch.frombuffer(bytearray(store.load(name).tobytes()), dtype=torch.uint8).double()
        for name in (one, other)
    ]
    return (arrays[0] - arrays[1]).square().mean().sqrt().item()


def _features(names: Sequence[str], store: ImageStore, extractor: Extractor) -> Tensor:
    parts = []
    for i in progress(range(0, len(names), BATCH), desc="features"):
        parts.append(extractor.features([store.load(name) for name in names[i : i + BATCH]]))
    return torch.cat(parts)
