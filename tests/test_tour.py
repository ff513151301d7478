"""The tour in the documents is a notebook that was run, and runs."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def tour() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tour", DOCS / "tour.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def test_the_notebook_is_what_the_script_writes(tour):
    cells = json.loads((DOCS / tour.NOTEBOOK).read_text("utf-8"))["cells"]
    found = [(cell["cell_type"], text(cell["source"])) for cell in cells]
    assert found == tour.cells(), "run `python docs/tour.py --text`, or without it if code changed"


def test_every_cell_of_code_was_run_in_order(tour):
    cells = json.loads((DOCS / tour.NOTEBOOK).read_text("utf-8"))["cells"]
    counts = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert counts == [*range(1, len(counts) + 1)]


def test_the_page_shows_every_cell_and_its_pictures(tour):
    page = (DOCS / tour.PAGE).read_text("utf-8")
    assert all(source in page for _, source in tour.cells())
    pictures = sorted((DOCS / "images").glob("tour-*.png"))
    assert len(pictures) == 3 and all(f"images/{one.name}" in page for one in pictures)


@pytest.mark.parametrize("model", ["SDXL", "FLUX", "Z-Image"])
def test_each_model_has_five_lines_and_five_commands(tour, model):
    section = tour.section((DOCS / "own-model.md").read_text("utf-8"), model)
    python, shell = (block.split("```")[0] for block in section.split("```")[1::2])
    lines = [line for line in python.splitlines()[1:] if line]
    assert python.startswith("python") and len(lines) <= 5
    assert len(shell.strip().splitlines()) == 5
    assert "**Check**" in section and "**Cost**" in section


@pytest.mark.slow
def test_the_notebook_runs_and_prints_the_same(tour, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    stored = nbformat.read(DOCS / tour.NOTEBOOK, as_version=4)
    found = tour.run(tour.empty(), tmp_path)
    for before, after in zip(stored.cells, found.cells, strict=True):
        if after.cell_type == "code":
            assert tour.printed(after) == tour.printed(before)
    assert (tmp_path / "no-fox.safetensors").is_file()
