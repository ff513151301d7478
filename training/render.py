"""Renders the training set: uint8 pictures and the scene behind each.

Usage: python training/render.py ART OUT [COUNT]
ART holds the npm packages (see training/README.md); OUT gets svg/, scenes.jsonl, pictures.npy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from multiprocessing import Pool
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from scenes import SIZE, Artwork, random_scene
from trace_erasure.world import load_world

artwork: Artwork


def _start(folder: Path) -> None:
    global artwork
    artwork = Artwork(folder)


def _one(index: int) -> tuple[dict, np.ndarray]:
    random = Random(index)
    scene = random_scene(random, artwork.world)
    return asdict(scene), artwork.draw(scene, random)


def write_svg(art: Path, out: Path) -> None:
    """Writes the drawings of the world's objects and people as SVG files, in OUT/svg."""
    world = load_world()
    out.mkdir(parents=True, exist_ok=True)
    vocabulary = {
        "objects": [{"name": thing.name, "icon": thing.icon} for thing in world.objects],
        "people": world.people,
    }
    (out / "world.json").write_text(json.dumps(vocabulary))
    script = Path(__file__).with_name("art.mjs")
    command = [
        "node",
        str(script.resolve()),
        str((out / "world.json").resolve()),
        str((out / "svg").resolve()),
    ]
    subprocess.run(command, cwd=art, check=True)


def main(art: Path, out: Path, count: int = 60_000) -> None:
    write_svg(art, out)
    pictures = np.lib.format.open_memmap(
        out / "pictures.npy", mode="w+", dtype=np.uint8, shape=(count, SIZE, SIZE, 3)
    )
    with (
        Pool(initializer=_start, initargs=(out / "svg",)) as pool,
        open(out / "scenes.jsonl", "w") as scenes,
    ):
        drawn = pool.imap(_one, range(count), chunksize=64)
        for index, (scene, picture) in enumerate(tqdm(drawn, total=count, desc="render")):
            pictures[index] = picture
            scenes.write(json.dumps(scene) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:4]))
