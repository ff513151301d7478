"""Figures in running text: each is a row's, or a constant that ``constants.yaml`` gives.

A number of README or docs is looked for in the page's generated tables, then in the rows of the
same models and tasks, to the digits in which it is printed. What is no measurement, such as a
version, an equation's coefficient or a size that a test pins, is in ``constants.yaml`` with the
reason; so is what was measured without a row, where nothing else can hide it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.tables.rows import Key, Row
from benchmarks.tables.schema import Strict, Table
from trace_erasure.errors import InputError

CONSTANTS = Path(__file__).parent / "constants.yaml"
BLOCK = re.compile(r"^<!-- (?:table|rows):.*?^<!-- /(?:table|rows) -->$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(
    r"^( *)(?:```|~~~).*?^\1(?:```|~~~)|<!--.*?-->|`[^`\n]+`|\]\([^)]*\)|<[^>\n]+>|https?://\S+"
    r"|^\s*\d+\. ",
    re.MULTILINE | re.DOTALL,
)
"""Code, comments, targets of links, and the numbers of numbered lists."""
NUMBER = re.compile(r"(?<![\w.#/^_-])\d[\d,]*\d(?:\.\d+)?(?!\w)|(?<![\w.#/^_-])\d(?:\.\d+)?(?!\w)")
MEASURED = re.compile(r"README\.md|docs/results/.*")
"""Pages on which small whole numbers are looked for, too."""
SMALL = 12
"""Whole numbers up to this are counts and names of parts elsewhere: stage 2, three steps."""


class Constant(Strict):
    """A piece of a page's text and why its numbers need no row."""

    text: str
    reason: str


class Pattern(Strict):
    """A regular expression for numbers of all pages, and why they need no row."""

    match: str
    reason: str


class Constants(Strict):
    """``constants.yaml``.

    Attributes:
        everywhere: of all pages.
        cites: page to tasks whose rows it may cite beside those of its tables, of any model.
        whole: pages without any measurement, such as the settings of a renderer, and why.
        pages: of one page each.
        unrecorded: measured, but without a row, page by page. It must only become shorter.
    """

    everywhere: list[Pattern]
    cites: dict[str, list[str]]
    whole: dict[str, str]
    pages: dict[str, list[Constant]]
    unrecorded: dict[str, list[Constant]]

    def of(self, page: str) -> list[Constant]:
        """All constants of one page."""
        return [*self.pages.get(page, []), *self.unrecorded.get(page, [])]


def read_constants(file: Path = CONSTANTS) -> Constants:
    """The file of constants."""
    return Constants.model_validate(yaml.safe_load(file.read_text("utf-8")))


def unfounded(
    page: str,
    text: str,
    tables: Mapping[str, Table],
    rows: Mapping[Key, Row],
    constants: Constants,
) -> list[str]:
    """The numbers of a page's prose that neither its rows nor a constant have, with their place.

    Raises:
        InputError: a constant of the page is not in its text any more.
    """
    if page in constants.whole:
        return []
    prose = HIDDEN.sub(lambda found: " " * len(found[0]), BLOCK.sub("", text))
    flat = " ".join(prose.split())
    spans = _spans(page, flat, " ".join(BLOCK.sub("", text).split()), constants)
    known = {number for block in BLOCK.finditer(text) for number in NUMBER.findall(block[0])}
    own = [table for table in tables.values() if table.page == page]
    cited = constants.cites.get(page, [])
    mine = [
        row for key, row in rows.items()
        if key[1] in cited
        or any(key[0] == table.model and key[1] in table.tasks for table in own)
    ]  # fmt: skip
    found = []
    for match in NUMBER.finditer(flat):
        number = match[0]
        small = number.isdigit() and int(number) <= SMALL and not MEASURED.fullmatch(page)
        covered = any(start <= match.start() and match.end() <= end for start, end in spans)
        if small or covered or number in known or is_in(number, mine):
            continue
        found.append(f"{number} in “{flat[max(0, match.start() - 40) : match.end() + 25]}”")
    return found


def _spans(page: str, flat: str, whole: str, constants: Constants) -> list[tuple[int, int]]:
    """Where the page's constants are in its prose."""
    spans = [match.span() for one in constants.everywhere for match in re.finditer(one.match, flat)]
    for one in constants.of(page):
        at = [match.span() for match in re.finditer(re.escape(one.text), flat)]
        if not at:
            raise InputError(
                f"{page} has no text {one.text!r} any more. Take it out of {CONSTANTS.name}"
                + (", or write it without code spans." if one.text in whole else ".")
            )
        spans += at
    return spans


def is_in(number: str, rows: Iterable[Row]) -> bool:
    """Whether a row has the number: as a rate in per cent, as it is, or as a count.

    >>> is_in("3.2", [{"value": 0.0316, "low": None, "high": None, "numerator": None, "n": 10}])
    True
    """
    plain = number.replace(",", "")
    digits = len(plain.partition(".")[2])
    return any(f"{value:.{digits}f}" == plain for row in rows for value in _values(row))


def _values(row: Mapping[str, Any]) -> Iterator[float]:
    for key in ("value", "low", "high"):
        if row[key] is not None:
            yield from (abs(row[key]), abs(100 * row[key]))
    for key in ("numerator", "n"):
        if row[key] is not None:
            yield row[key]
