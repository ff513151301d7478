"""Renders the two training sets of emoji-scenes: one for the generator, one for its judges.

Usage: python training/scenes_render.py ART OUT [COUNT]
ART holds the npm packages (see training/README.md). OUT gets svg/ and scenes-svg/, and of each set
the pictures (NAME.npy) and what they show (NAME.jsonl).
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from random import Random

import numpy as np
from tqdm import tqdm

from render import write_svg
from scenes import SIZE
from scenes_compose import compose, decorrelated
from scenes_draw import COLOUR_SETS, SceneArtwork
from trace_erasure.world import load_world
from trace_erasure.world.scenes import load_scenes

SETS = {"generator": compose, "judges": decorrelated}
artwork: SceneArtwork


def _start(folder: Path) -> None:
    global artwork
    artwork = SceneArtwork(folder)


def _one(name: str, index: int) -> tuple[dict, np.ndarray]:
    random = Random(f"{name} {index}")
    picture = SETS[name](random)
    return asdict(picture), artwork.compose(picture, random)


def write_icons(art: Path, out: Path) -> None:
    """Writes all drawings that scenes need as SVG files."""
    scenes = load_scenes()
    icons = [thing.icon for thing in load_world().objects]
    icons += [icon for entry in (*scenes.scenes, *scenes.senses) for icon in entry.icons]
    (out / "icons.json").write_text(json.dumps({name: icons for name in COLOUR_SETS}))
    script = Path(__file__).with_name("scenes_art.mjs").resolve()
    command = [
        "node",
        str(script),
        str((out / "icons.json").resolve()),
        str((out / "scenes-svg").resolve()),
    ]
    subprocess.run(command, cwd=art, check=True)


def main(art: Path, out: Path, count: int = 48_000) -> None:
    write_svg(art, out)
    write_icons(art, out)
    for name, number in (("generator", count), ("judges", count // 2)):
        pictures = np.lib.format.open_memmap(
            out / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(number, SIZE, SIZE, 3)
        )
        with (
            Pool(initializer=_start, initargs=(out,)) as pool,
            open(out / f"{name}.jsonl", "w") as lines,
        ):
            drawn = pool.imap(partial(_one, name), range(number), chunksize=64)
            for index, (picture, image) in enumerate(tqdm(drawn, total=number, desc=name)):
                pictures[index] = image
                lines.write(json.dumps(picture) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:4]))
