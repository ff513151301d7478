"""SECURITY.md lists every dependency with the bound of pyproject.toml, and the tested version."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = re.compile(
    r"^\| (?P<name>[\w.-]+) \| (?P<bound>\S+) \| (?P<tested>\S+) \| (?P<licence>.+?) \|"
)
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+?)(?:\[[\w,]+\])?(?P<bound>[<>=!~].*)?")


def same(name: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def rows() -> dict[str, re.Match[str]]:
    lines = (ROOT / "SECURITY.md").read_text("utf-8").splitlines()
    found = [match for line in lines if (match := ROW.match(line))]
    return {same(row["name"]): row for row in found if row["name"] != "package"}


def bounds() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    listed = [*project["dependencies"], *(one for extra in extras for one in extra)]
    matches = [REQUIREMENT.fullmatch(one.replace(" ", "")) for one in listed]
    found: dict[str, str] = {}
    for match in matches:
        assert match
        bound = match["bound"] or "any"
        name = same(match["name"])
        found[name] = bound if found.get(name, "any") == "any" else found[name]
    return found


def test_every_dependency_stands_there_with_its_bound_and_a_licence():
    table = rows()
    assert {name: row["bound"] for name, row in table.items()} == bounds()
    assert all(row["licence"].strip() for row in table.values())


def test_the_tested_versions_are_those_that_are_pinned():
    text = (ROOT / "constraints.txt").read_text("utf-8")
    pins = dict(line.split("==") for line in text.splitlines() if "==" in line)
    pinned = {same(name): version.split("+")[0].strip() for name, version in pins.items()}
    for name, row in rows().items():
        assert pinned.get(name, row["tested"]) == row["tested"], name
