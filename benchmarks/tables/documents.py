"""Writes the measured tables into README.md and docs/**/*.md, from benchmarks/results.

    python -m benchmarks tables             # prints the pages that changed
    python -m benchmarks tables --check     # writes nothing; fails where a page would change, or
                                            # where its text has a figure that no row has

A table stands between ``<!-- table:NAME -->`` and ``<!-- /table -->``, each on a line of its own;
``pages/*.yaml`` define what NAME shows, one file a page. What has not been measured is a dash.
"""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path

from benchmarks.core.commit import ROOT
from benchmarks.tables.definitions import read_tables
from benchmarks.tables.models import filled
from benchmarks.tables.prose import read_constants, unfounded
from benchmarks.tables.render import COMMAND, render
from benchmarks.tables.rows import read_rows
from benchmarks.tables.schema import Table
from trace_erasure.errors import InputError
from trace_erasure.utils.atomic import atomic

BLOCK = re.compile(r"^<!-- table:(\S+) -->\n(.*?)^<!-- /table -->$", re.MULTILINE | re.DOTALL)
OPENING = re.compile(r"^<!-- table:", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """README.md and every page of docs."""
    return [
        file for file in (root / "README.md", *sorted((root / "docs").rglob("*.md")))
        if file.is_file()
    ]  # fmt: skip


def tables_of(file: Path, text: str) -> list[str]:
    """The names of a page's tables.

    Raises:
        InputError: one is never closed.
    """
    names = [match[1] for match in BLOCK.finditer(text)]
    if len(names) != len(OPENING.findall(text)):
        raise InputError(f"{file}: a table is never closed. Add a line <!-- /table --> below it.")
    return names


def changed(root: Path, tables: Mapping[str, Table]) -> dict[Path, str]:
    """The pages under ``root`` that differ from their rows, and what they should be.

    Raises:
        InputError: a marker is not in ``tables``, or not of this page, or is never closed.
    """
    rows = read_rows(root / "benchmarks" / "results")
    after: dict[Path, str] = {}
    for file in pages(root):
        before = file.read_text("utf-8")
        page = file.relative_to(root).as_posix()
        for name in tables_of(file, before):
            if name not in tables:
                raise InputError(
                    f"{file}: no table is called {name!r}. Known: {', '.join(tables)}."
                )
            if tables[name].page != page:
                raise InputError(
                    f"{file}: table {name!r} is defined for {tables[name].page}. Move it to the "
                    f"YAML of {page}, in benchmarks/tables/pages."
                )
        text = BLOCK.sub(
            lambda m: f"<!-- table:{m[1]} -->\n{render(m[1], tables[m[1]], rows)}<!-- /table -->",
            filled(before),
        )
        if text != before:
            after[file] = text
    return after


def unfounded_figures(root: Path, tables: Mapping[str, Table]) -> list[tuple[str, str]]:
    """Page and number of every figure in running text that ``prose.unfounded`` finds."""
    rows, constants = read_rows(root / "benchmarks" / "results"), read_constants()
    return [
        (page, number)
        for file in pages(root)
        for page in [file.relative_to(root).as_posix()]
        for number in unfounded(page, file.read_text("utf-8"), tables, rows, constants)
    ]


def rewrite(root: Path, tables: Mapping[str, Table]) -> list[Path]:
    """Fills every marked table under ``root``; returns the files that changed.

    Raises:
        InputError: as ``changed`` does, with nothing written.
    """
    after = changed(root, tables)
    for file, text in after.items():
        with atomic(file) as partial:
            partial.write_text(text, "utf-8")
    return [*after]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="fail where a page would change")


def run(options: Namespace) -> None:
    tables = read_tables()
    if options.check:
        after = changed(ROOT, tables)
        if after:
            names = ", ".join(str(file.relative_to(ROOT)) for file in after)
            raise InputError(f"tables differ from their rows: {names}. Run `{COMMAND}`.")
        found = unfounded_figures(ROOT, tables)
        if found:
            listed = "\n".join(f"{page}: {number}" for page, number in found)
            raise InputError(
                "no row and no constant has these figures. Take them from rows, or say in "
                f"benchmarks/tables/constants.yaml why they need none:\n{listed}"
            )
        return
    for file in rewrite(ROOT, tables):
        print(file)
