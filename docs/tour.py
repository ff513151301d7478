"""Writes the tour: `docs/tour.ipynb`, run from start to end, and the same as a page of the site.

    python docs/tour.py           # runs every cell: a minute on one core
    python docs/tour.py --text    # renews the words alone, and keeps what the cells have shown

The last cells are sections of `docs/own-model.md`, so that the notebook is complete by itself.
"""

from __future__ import annotations

import argparse
import base64
import re
import tempfile
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOK, PAGE, PICTURE = "tour.ipynb", "tour.md", "images/tour-{}.png"
SECTIONS = ("SDXL", "FLUX", "Z-Image", "What it costs", "What to check")
"""Of `own-model.md`, at the end of the tour."""
MARK = re.compile(r"^<!--.*-->\n", re.MULTILINE)
CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "# A tour with a model of your own\n\nA concept is taken out of a model in a folder, "
        "looked at, and taken along. This page is a notebook that was run; download "
        "[tour.ipynb](tour.ipynb) to run it yourself. It takes a minute on a laptop.",
    ),
    (
        "markdown",
        "## The model as it was\n\nA small model that ships with the package stands in for yours. "
        "With your own folder, leave the first line of the cell out.",
    ),
    (
        "code",
        """from trace_erasure import Concept, erase, generate, load_pipeline

load_pipeline("emoji-sd").save_pretrained("my-model")

pipe = load_pipeline("my-model")
prompts = ["a fox", "a picture of a fox", "a cat", "a house"]
seeds = [0, 0, 0, 0]
before = generate(pipe, prompts, seeds)""",
    ),
    (
        "code",
        """from PIL import Image


def beside(*rows):
    sheet = Image.new("RGB", (len(rows[0]) * 136, len(rows) * 136), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            sheet.paste(picture.resize((128, 128), Image.Resampling.NEAREST), (136 * x, 136 * y))
    return sheet


beside(before)""",
    ),
    (
        "markdown",
        "## Look before you erase\n\nWhat goes along, and what will change? Nothing is written.",
    ),
    (
        "code",
        """from trace_erasure import EraseConfig
from trace_erasure.guarantees.preview import preview

fox = Concept("fox", surrogate="cat")
seen = preview(pipe, EraseConfig((fox,)))
print("goes along:", ", ".join(seen.concepts[0].synonyms))
print("will change most:", ", ".join(name for name, _ in seen.changed[:4]))
print("verdict:", seen.verdict.word)""",
    ),
    ("markdown", "## Erase"),
    (
        "code",
        """erasure = erase(pipe, fox)
print(erasure)
print(erasure.record.description)
print(erasure.verdict.word)""",
    ),
    (
        "code",
        """with erasure.attach(pipe):
    after = generate(pipe, prompts, seeds)

beside(before, after)""",
    ),
    (
        "markdown",
        "Above the model as it was, below with the erasure on. The cat and the house stay. Taken "
        "off, the model is the original, bit for bit:",
    ),
    (
        "code",
        """again = generate(pipe, prompts, seeds)
print(again == before)""",
    ),
    ("markdown", "## Less of it\n\nStrength 0, a quarter, a half, and 1."),
    (
        "code",
        """faded = []
with erasure.attach(pipe):
    for strength in (0.0, 0.25, 0.5, 1.0):
        erasure.set_strength(pipe, strength)
        faded += generate(pipe, ["a fox"], [0])

beside(faded)""",
    ),
    (
        "markdown",
        "## Take it along\n\nOne file, which plain diffusers loads without this package.",
    ),
    (
        "code",
        """import numpy as np

file = erasure.save("no-fox.safetensors")
print(file.name, f"{file.stat().st_size / 1000:.0f} kB")

other = load_pipeline("my-model")
other.load_lora_weights(".", weight_name="no-fox.safetensors")
plain = generate(other, prompts, seeds)
difference = np.abs(np.stack(after).astype(int) - np.stack(plain)).max()
print("the same pictures, to rounding:", difference <= 2)""",
    ),
    (
        "markdown",
        "Or a model that has the erasure in its weights, which nobody can leave out:",
    ),
    (
        "code",
        """erasure.fuse(pipe).save_pretrained("my-model-without-fox")""",
    ),
    (
        "markdown",
        "Pictures are few here. [Results](results/index.md) counts thousands, with "
        "[attacks](results/attacks.md).\n\n## The same with SDXL, FLUX and Z-Image\n\nFive lines "
        "of Python or five commands each, what to check, and what it costs. The pages are [your "
        "own model](own-model.md) and [recipes](recipes.md).",
    ),
)
"""(kind, source) of every cell that is written here."""


def section(text: str, title: str) -> str:
    """One section of a page with its heading, without the marks of its tables."""
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"own-model.md has no section {title!r}"
    return MARK.sub("", found[0]).strip()


def cells() -> list[tuple[str, str]]:
    """(kind, source) of every cell."""
    text = (DOCS / "own-model.md").read_text("utf-8")
    return [*CELLS, *(("markdown", section(text, title)) for title in SECTIONS)]


def empty() -> Any:
    """The notebook before it is run."""
    import nbformat

    make = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    made = [make[kind](source) for kind, source in cells()]
    for number, cell in enumerate(made):
        cell["id"] = f"cell-{number}"  # the same from run to run
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})


def run(notebook: Any, folder: Path) -> Any:
    """``notebook`` with its outputs; files that it writes go into ``folder``."""
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=1800, resources=where, record_timing=False).execute()
    for cell in notebook.cells:
        # Logs and progress differ from run to run.
        kept = [one for one in cell.get("outputs", ()) if one.get("name") != "stderr"]
        if cell.cell_type == "code":
            cell.outputs = kept
    notebook.metadata.pop("language_info", None)
    return notebook


def retold(stored: Any) -> Any:
    """The notebook with today's words and the outputs of ``stored``, cell by cell of code."""
    notebook = empty()
    old, new = (
        [cell for cell in one.cells if cell.cell_type == "code"] for one in (stored, notebook)
    )
    if [cell.source for cell in old] != [cell.source for cell in new]:
        raise SystemExit("cells of code have changed: run this without --text")
    for before, after in zip(old, new, strict=True):
        after.outputs, after.execution_count = before.outputs, before.execution_count
    return notebook


def printed(cell: Any) -> str:
    """What a cell of code prints and returns, as text."""
    texts = [one.get("text") or one.get("data", {}).get("text/plain", "") for one in cell.outputs]
    return "".join(texts).strip()


def as_page(notebook: Any) -> tuple[str, dict[str, bytes]]:
    """Markdown for the site, and the pictures that it shows by their paths."""
    parts, pictures = [], {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        images = [o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        if images:
            path = PICTURE.format(len(pictures) + 1)
            pictures[path] = base64.b64decode(images[0])
            parts.append(f"![Pictures that the cell above shows]({path})")
        elif text := printed(cell):
            parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n", pictures


def main() -> None:
    import nbformat

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--text", action="store_true", help="renew the words, run nothing")
    if parser.parse_args().text:
        notebook = retold(nbformat.read(DOCS / NOTEBOOK, as_version=4))
    else:
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(empty(), Path(folder))
    nbformat.write(notebook, DOCS / NOTEBOOK)
    page, pictures = as_page(notebook)
    (DOCS / PAGE).write_text(page, "utf-8")
    for path, data in pictures.items():
        (DOCS / path).write_bytes(data)


if __name__ == "__main__":
    main()
