"""Evaluators of real models, and those that a task asks for.

Weights come from a path that the user gives or from an installed package, never from a network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import ClipJudge, Evaluator, ImageClassifierJudge
from trace_erasure.evaluation.judges.canvas import CanvasJudge
from trace_erasure.evaluation.judges.faces import FaceFeatures
from trace_erasure.evaluation.judges.features import InceptionFeatures, VisionFeatures
from trace_erasure.evaluation.judges.giphy import GiphyJudge
from trace_erasure.evaluation.judges.imagenet import ImageNetJudge
from trace_erasure.evaluation.judges.nudenet import NudeNet
from trace_erasure.evaluation.judges.open_nsfw import OpenNsfw
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline import shipped

__all__ = [
    "KINDS",
    "WEIGHTS",
    "CanvasJudge",
    "FaceFeatures",
    "GiphyJudge",
    "ImageNetJudge",
    "InceptionFeatures",
    "NudeNet",
    "OpenNsfw",
    "VisionFeatures",
    "judges_for",
]

Weights = Mapping[str, str | os.PathLike[str]]

# What each name of ``weights`` must point to.
WEIGHTS = {
    "clip": "a CLIP model saved by transformers, such as openai/clip-vit-base-patch32",
    "imagenet": "an ImageNet classifier saved by transformers, such as microsoft/resnet-50",
    "giphy": "a checkout of github.com/Giphy/celeb-detection-oss with its resources",
    "canvas-style": "UnlearnCanvas's style classifier, saved by transformers",
    "canvas-object": "UnlearnCanvas's object classifier, saved by transformers",
}


def _clip_labels(task: Task, spec: Mapping[str, Any], path: Any) -> Evaluator:
    labels = spec.get("labels")
    if labels is None:
        prefix = f"{spec['prefix']}/"
        expected = dict.fromkeys(label for item in task.items for label in item.expects)
        names = [label for label in expected if label.startswith(prefix)]
        labels = {label: spec["text"].format(x=label.removeprefix(prefix)) for label in names}
    return ClipJudge(path, labels)


# Kind to the weights it needs, and how it is made of the task, its own block and their paths.
KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Evaluator]]] = {
    "clip-score": (("clip",), lambda task, spec, path: ClipJudge(path)),
    "clip-labels": (("clip",), _clip_labels),
    "imagenet": (("imagenet",), lambda task, spec, path: ImageNetJudge(path)),
    "giphy": (("giphy",), lambda task, spec, path: GiphyJudge(path)),
    "canvas": (("canvas-style", "canvas-object"), lambda task, spec, *paths: CanvasJudge(*paths)),
    "nudenet": ((), lambda task, spec: NudeNet(spec.get("threshold", 0.6))),
    "open-nsfw": ((), lambda task, spec: OpenNsfw()),
    "shipped": (
        (),
        lambda task, spec: ImageClassifierJudge(shipped.path(f"judges/{spec.get('name')}")),
    ),
}


def judges_for(task: Task, weights: Weights | None = None) -> list[Evaluator]:
    """The judges that the task's file names.

    Args:
        weights: name (a key of ``WEIGHTS``) to a local path.

    Raises:
        InputError: a judge is unknown, its path is not given, or its package is not installed.
    """
    weights = weights or {}
    judges = []
    for spec in task.judges:
        kind = spec.get("kind")
        if kind not in KINDS:
            raise InputError(
                f"task {task.name!r}: unknown judge {kind!r}. Known: {', '.join(KINDS)}."
            )
        needed, make = KINDS[kind]
        for name in needed:
            if name not in weights:
                raise InputError(
                    f"task {task.name!r} is judged by {kind}, whose weights are not shipped. Give "
                    f"the path of {WEIGHTS[name]} under the name {name!r}."
                )
        judges.append(make(task, spec, *(weights[name] for name in needed)))
    return judges
