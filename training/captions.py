"""Writes the package's broad captions: sentences of the embedded world's grammar, one a line.

Usage: python training/captions.py OUT [COUNT]
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

from scenes import random_scene
from trace_erasure.world import caption, load_world


def main(out: Path, count: int = 3000) -> None:
    random, world = Random(0), load_world()
    lines: dict[str, None] = {}
    while len(lines) < count:
        lines[caption(random_scene(random, world), random, world)] = None
    out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
