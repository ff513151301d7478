"""Tiny tasks of two words, as files: one written as templates, one as a list of prompts."""

from __future__ import annotations

from pathlib import Path

FOXES = """
name: foxes
version: 1
description: A fox and a cat.
sampling: {steps: 2, guidance_scale: 2.0}
concepts: {fox: {expects: [subject/fox], words: {x: [a fox]}}}
groups:
  target: [{templates: ["{x}", "a picture of {x}"], seeds: 1}]
  retain: [{from: objects, names: [cat], templates: ["{x}"], seeds: 1}]
"""
LISTED = """
name: tiny
version: 1
sampling: {steps: 2, guidance_scale: 2.0}
items: items.csv
"""
ITEMS = """prompt,seed,group,concept,expects,companion
a fox,1,target,fox,subject/fox,
fox,3,synonym,fox,subject/fox,
a cat,4,retain,fox,subject/cat,
a picture of a fox,2,target,fox,subject/fox,
a cat,5,retain,fox,subject/cat,
"""


def save_foxes(folder: Path) -> Path:
    """The task ``foxes`` in ``folder``."""
    file = folder / "foxes.yaml"
    file.write_text(FOXES, "utf-8")
    return file


def save_listed(folder: Path, items: int) -> Path:
    """The task ``tiny`` in ``folder``, with so many of ``ITEMS``."""
    file = folder / "tiny.yaml"
    file.write_text(LISTED, "utf-8")
    lines = ITEMS.splitlines(keepends=True)
    (folder / "items.csv").write_text("".join(lines[: 1 + items]), "utf-8")
    return file
