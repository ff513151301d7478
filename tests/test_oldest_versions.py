"""``make test-oldest`` runs on the lower bounds of pyproject.toml, and on no other versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
RUN_ALONE = {"torch": "2.13.0"}
"""Where the bound itself cannot be had: its wheels need a GPU's libraries."""


def test_the_oldest_versions_are_the_lower_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    bounds = [re.fullmatch(r"([\w-]+)>=([\d.]+).*", line) for line in project["dependencies"]]
    lowest = {found[1]: found[2] for found in bounds if found}
    lines = (ROOT / "constraints-oldest.txt").read_text("utf-8").split()
    pinned = dict(line.split("==") for line in lines)
    assert pinned.keys() == lowest.keys()
    for name, version in pinned.items():
        bound = RUN_ALONE.get(name, lowest[name])
        assert [*map(int, version.split(".")), 0][: len(bound.split("."))] == [
            *map(int, bound.split("."))
        ], name
