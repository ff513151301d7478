"""Trains the multi-label judges of emoji-scenes on renders in which nothing implies anything.

Usage: python training/scenes_judges.py DATA OUT {resnet,regnet} [MINUTES]
A judge says of each thing, scene, place, coloured thing and the mark whether a picture shows it,
one yes or no each. Writes OUT/judges/scenes-NAME and prints its accuracy on held-out renders.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from judges import augment, build_classifier, spoil
from loop import Training
from scenes_compose import read_compositions
from scenes_draw import Composition
from scenes_vae import HELD_OUT
from trace_erasure.world import load_world
from trace_erasure.world.scenes import load_scenes
from vae import pixels

BATCH = 64
MARK = "mark/stamp"


def label_names() -> list[str]:
    """Names of the logits. Each is a question of its own, whatever stands before the slash."""
    world, scenes = load_world(), load_scenes()
    return [
        *(f"thing/{thing.name}" for thing in world.objects),
        *(f"thing/{sense.name}" for sense in scenes.senses),
        *(f"scene/{scene.name}" for scene in scenes.scenes),
        *(f"place/{place}" for place in scenes.places),
        *(f"bound/{colour} {thing}" for thing in scenes.bound_things for colour in scenes.colours),
        MARK,
    ]


def labels_of(picture: Composition) -> list[str]:
    """The labels that ``picture`` shows."""
    found = [f"thing/{name}" for name in picture.things]
    found += [
        f"bound/{colour} {name}"
        for name, colour in zip(picture.things, picture.colours, strict=False)
    ]
    if picture.scene is not None:
        found.append(f"scene/{picture.scene}")
    if picture.background in load_scenes().places:
        found.append(f"place/{picture.background}")
    if picture.mark:
        found.append(MARK)
    return found


def targets(pictures: list[Composition], names: list[str]) -> torch.Tensor:
    """1 where a picture shows a label, (n, labels)."""
    position = {name: index for index, name in enumerate(names)}
    result = torch.zeros(len(pictures), len(names))
    for row, picture in zip(result, pictures, strict=True):
        row[[position[name] for name in labels_of(picture)]] = 1
    return result


def report(kind: str, shown: torch.Tensor, truth: torch.Tensor, names: list[str]) -> None:
    """Prints how many held-out labels are seen, and how many absent ones are left unseen."""
    for group in ("thing", "scene", "place", "bound", "mark"):
        part = [index for index, name in enumerate(names) if name.startswith(f"{group}/")]
        seen, there = shown[:, part], truth[:, part].bool()
        recall = float(seen[there].float().mean())
        whole = float((seen == there).all(1).float().mean())
        print(
            f"scenes-{kind}: {group}: {100 * recall:.2f} % of {int(there.sum())} seen; "
            f"all right in {100 * whole:.2f} % of {len(truth)} renders"
        )


def main(data: Path, out: Path, kind: str, minutes: float = 5) -> None:
    images = np.load(data / "judges.npy", mmap_mode="r")
    names = label_names()
    truth = targets(read_compositions(data / "judges.jsonl"), names)
    torch.manual_seed(1)
    model = build_classifier(kind, names)
    model.config.problem_type = "multi_label_classification"
    head: Any = model.classifier  # a Sequential of which the last layer is linear
    nn.init.constant_(head[-1].bias, -4.0)  # most things are absent
    training = Training(
        model,
        out / f"scenes-{kind}.ckpt",
        peak_lr=2e-3,
        minutes=minutes,
        ema_decay=0.998,
        weight_decay=0.05,
    )
    spoiled = BATCH // 16
    for step in training:
        generator = torch.Generator().manual_seed(step)
        index = torch.randint(len(images) - HELD_OUT, (BATCH,), generator=generator).sort().values
        x = augment(pixels(images[index.numpy()]), generator)
        y = truth[index]
        x[:spoiled] = spoil(x[:spoiled], generator)
        y[:spoiled] = 0
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(pixel_values=x).logits.float()
        loss = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
        training.update(loss.sum(1).mean())
    print(f"{training.step} steps")
    training.use_ema()
    model.eval()
    with torch.no_grad():
        shown = model(pixel_values=pixels(images[-HELD_OUT:])).logits > 0
    report(kind, shown, truth[-HELD_OUT:], names)
    model.half().save_pretrained(out / "judges" / f"scenes-{kind}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], *map(float, sys.argv[4:5]))
