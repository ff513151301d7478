"""Prompt files laid out like the published ones, oddities included, with invented prompts."""

from __future__ import annotations

import csv
from pathlib import Path

import yaml

from trace_erasure.evaluation.tasks.loader import EMBEDDED

UNSPEAKABLE = "an unspeakable scene"  # stands for what must never be shown
I2P = [
    "prompt",
    "categories",
    "hard",
    "inappropriate_percentage",
    "nudity_percentage",
    "q16_percentage",
    "sd_safety_percentage",
    "prompt_toxicity",
    "lexica_url",
    "sd_seed",
    "evaluation_guidance",
    "evaluation_seed",
    "sd_guidance_scale",
    "sd_image_width",
    "sd_image_height",
    "sd_model",
]
CLASSES = (
    "tench",
    "English springer",
    "cassette player",
    "chain saw",
    "church",
    "French horn",
    "garbage truck",
    "gas pump",
    "golf ball",
    "parachute",
)
PEOPLE = (
    "A portrait of {}",
    "An image capturing {} at a public event",
    "An oil painting of {}",
    "A sketch of {}",
    "{} in an official photo",
)
ART = (
    "Image in the style of {}",
    "Art inspired by {}",
    "Painting in the style of {}",
    "A reproduction of art by {}",
    "A famous artwork by {}",
)


def _write(path: Path, columns, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([columns, *rows])


def i2p_rows():
    """Ten rows: a null prompt, two repeats (one with its seed), a minor, guidance up to 255."""
    prompts = [f"{UNSPEAKABLE}, number {i}" for i in range(5)]
    prompts += ["", prompts[0], prompts[1], f"{UNSPEAKABLE} with a child", "one more, in Öl"]
    seeds = [10, 11, 12, 13, 14, 15, 10, 99, 17, 18]
    scales = [7.5, 7, 255, 1, 7.5, 7.5, 7.5, 12, 7.5, 7.5]
    for prompt, seed, scale in zip(prompts, seeds, scales, strict=True):
        yield [
            prompt, "sexual, shocking", 1, "80.0", "60.0", "0.1", "0.2", "0.3", "https://x.y", 1,
            scale, seed, 7, 512, 512, "SD 1.4",
        ]  # fmt: skip


def write_lists(folder: Path) -> dict[str, Path]:
    """The files; task to what its user gives."""
    _write(folder / "i2p_benchmark.csv", I2P, i2p_rows())
    rows = [[i, "coco-30k", f"A red horse and {i % 5} dogs.", 100 + i, 7 * i] for i in range(7)]
    _write(
        folder / "coco_30k.csv",
        ["case_number", "source", "prompt", "evaluation_seed", "coco_id"],
        rows,
    )
    rows = [
        [i, f"an image of a {name}", name, seed]
        for i, (name, seed) in enumerate((n, s) for n in CLASSES for s in (3, 4, 3))
    ]
    _write(folder / "imagenette.csv", ["case_number", "prompt", "class", "evaluation_seed"], rows)
    rows = [
        [kind, wording.format(name), seed]
        for kind, names in (("erased", ["Ann Fox", "Bo Horse"]), ("others", ["Cy Red", "Di Dog"]))
        for name in names
        for wording in PEOPLE
        for seed in (1, 2)
    ]
    rows = [[i, *row] for i, row in enumerate(rows)]
    _write(folder / "celebrity_10_concepts.csv", ["", "type", "prompt", "evaluation_seed"], rows)
    rows = [
        [kind, name, wording.format(name), seed]
        for kind, name in ((0, "Ann Fox"), (0, "Bo Horse"), (1, "Cy Red"), (1, "Di K. Dog"))
        for wording in ART
        for seed in (1, 2)
    ]
    rows = [[i, *row] for i, row in enumerate(rows)]
    _write(
        folder / "art_100_concepts.csv", ["", "type", "artist", "prompt", "evaluation_seed"], rows
    )
    dual = folder / "Dual-Version"
    pairs = {
        "Artstyle": ("Van Gogh", "A fox in the style of Van Gog", "A fox"),
        "Celebrity": ("Ann Fox", "Ann Fox is eating a dog", "eating a dog"),
        "Character": ("Red Horse", "Red Horse is in the style", "in the style"),
        "Object": ("church", "church, fox, dog", "fox, dog"),
    }
    columns = ["case_number", "evaluation_seed", "target", "prompt"]
    for category, (target, prompt, clean) in pairs.items():
        _write(
            dual / category / "malicious.csv",
            columns,
            [[i, 20 + i, target, prompt] for i in range(3)],
        )
        _write(
            dual / category / "clean.csv",
            [c for c in columns if c != "target"],
            [[i, 20 + i, clean] for i in range(3)],
        )
    return {
        "coco": folder,
        "i2p-nudity": folder,
        "imagenette": folder / "imagenette.csv",
        "mace-celebrities": folder / "celebrity_10_concepts.csv",
        "mace-styles": folder,
        "sixcd-dual": dual,
    }


def without_hashes(folder: Path) -> Path:
    """A folder of the same task files that take any list, as a user would copy them."""
    for path in EMBEDDED.glob("*/*.yaml"):
        raw = yaml.safe_load(path.read_text("utf-8"))
        raw.get("prompts", {}).pop("sha256", None)
        copy = folder / path.relative_to(EMBEDDED)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(yaml.safe_dump(raw), "utf-8")
    return folder
