"""One self-contained HTML page: tables, pictures, plots and how they came about."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import singledispatch
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trace_erasure.evaluation.report.grids import Grid
from trace_erasure.evaluation.report.picture_html import cards_html, escape
from trace_erasure.evaluation.report.tables import Number, Table
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder

PACKAGES = ("trace-erasure", "torch", "diffusers", "transformers", "peft", "safetensors")


@dataclass(frozen=True)
class Text:
    """Paragraphs, separated by empty lines; ``code`` between backticks."""

    body: str
    title: str = ""


@dataclass(frozen=True)
class Plot:
    """An SVG drawing from ``plots``."""

    title: str
    svg: str
    caption: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Manifest:
    """Names and values that describe how a page was made; see ``manifest``."""

    entries: Mapping[str, Any]
    title: str = "How this was made"
    folded: bool = True


@dataclass(frozen=True)
class Take:
    """Files beside the page to take along, and what to do with them.

    Attributes:
        files: names, relative to the page.
        uses: where to use them, and the code or command for it.
        part: it belongs to the section before.
    """

    title: str
    files: tuple[str, ...]
    uses: tuple[tuple[str, str], ...] = ()
    part: bool = False


Section = Text | Table | Grid | Plot | Manifest | Take


def manifest(**entries: Any) -> Manifest:
    """``entries`` (models, judges, protocols, seeds …) with versions, machine and time added."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed as a package"
    return Manifest(
        {
            **entries,
            "versions": {"python": platform.python_version(), **versions},
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores",
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )


def write_report(
    where: str | os.PathLike[str],
    sections: Sequence[Section],
    *,
    title: str,
    subtitle: str = "",
) -> Path:
    """Writes the page and returns its path.

    Args:
        where: an ``.html`` file, or a folder that gets ``report.html``.
        sections: in reading order.

    Raises:
        InputError: the file cannot be written.
    """
    path = Path(where)
    if path.suffix != ".html":
        path = path / "report.html"
    style = f"{styles('report.css')}{styles('cards.css')}"
    lead = f'<p class="subtitle">{_inline(subtitle)}</p>' if subtitle else ""
    titled = [
        (f"s{i}", section)
        for i, section in enumerate(sections)
        if section.title and not any(getattr(section, no, False) for no in ("folded", "part"))
    ]
    links = "".join(f'<a href="#{name}">{escape(s.title)}</a>' for name, s in titled)
    contents = f"<nav>{links}</nav>" if len(titled) > 2 else ""
    body = "".join(_section(f"s{i}", section) for i, section in enumerate(sections))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><header><h1>{escape(title)}</h1>{lead}{contents}</header>"
        f"<main>{body}</main></body></html>\n"
    )
    with atomic(path) as partial:
        make_folder(path.parent)
        partial.write_text(page, "utf-8")
    return path


def styles(name: str) -> str:
    """A style sheet of this folder: ``report.css`` of a page, ``cards.css`` of grids anywhere."""
    return files("trace_erasure.evaluation.report").joinpath(name).read_text("utf-8")


def fragment(section: Section) -> str:
    """A section as HTML, without its title and caption, for pages of others."""
    return _html(section)


def _section(name: str, section: Section) -> str:
    part = getattr(section, "part", False)
    level = "h3" if part else "h2"
    heading = f"<{level}>{escape(section.title)}</{level}>" if section.title else ""
    caption = getattr(section, "caption", "")
    note = f'<p class="caption">{_inline(caption)}</p>' if caption else ""
    if getattr(section, "folded", False):
        body = f"<details><summary>{heading}</summary>{_html(section)}{note}</details>"
    else:
        body = f"{heading}{_html(section)}{note}"
    return f'<section id="{name}"{" class=part" if part else ""}>{body}</section>'


@singledispatch
def _html(section: Any) -> str:
    raise TypeError(f"{type(section).__name__} is no report section")


@_html.register
def _(section: Text) -> str:
    paragraphs = [part for part in re.split(r"\n\s*\n", section.body.strip()) if part]
    return "".join(f'<p class="text">{_inline(part)}</p>' for part in paragraphs)


@_html.register
def _(section: Table) -> str:
    first = section.rows[0] if section.rows else ()
    right = [isinstance(cell, Number) for cell in first] or [False] * len(section.columns)
    head = "".join(
        f"<th scope=col{' class=n' if r else ''}>{_subscripts(column)}</th>"
        for column, r in zip(section.columns, right, strict=True)
    )
    lines = []
    for row in section.rows:
        # Averages close a table; they are set apart.
        total = " class=total" if {"mean", "worst"} & {c for c in row if isinstance(c, str)} else ""
        cells = "".join(map(_cell, row))
        lines.append(f"<tr{total}>{cells}</tr>")
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="scroll" tabindex="0">{table}</div>'


@_html.register
def _(section: Grid) -> str:
    return cards_html(section)


@_html.register
def _(section: Plot) -> str:
    return f'<div class="scroll plot" tabindex="0">{section.svg}</div>'


@_html.register
def _(section: Take) -> str:
    links = " · ".join(
        f'<a href="{escape(quote(name))}" download>{escape(name)}</a>' for name in section.files
    )
    uses = "".join(
        f"<dt>{escape(where)}</dt><dd><code>{escape(how)}</code></dd>"
        for where, how in section.uses
    )
    how = f"<dl>{uses}</dl>" if uses else ""
    return f'<div class="take"><p>{links}</p>{how}</div>'


@_html.register
def _(section: Manifest) -> str:
    lines = "".join(
        f"<dt>{escape(str(key))}</dt><dd>{_value(value)}</dd>"
        for key, value in section.entries.items()
    )
    return f"<dl>{lines}</dl>"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = [(escape(str(key)), escape(str(one))) for key, one in value.items()]
        return "<br>".join(f"{key} <code>{one}</code>" for key, one in pairs)
    if isinstance(value, list | tuple):
        return "<br>".join(f"<code>{escape(str(item))}</code>" for item in value)
    return f"<code>{escape(str(value))}</code>"


def _cell(cell: str | Number) -> str:
    if isinstance(cell, Number):
        small = f"<small>{escape(cell.detail)}</small>" if cell.detail else ""
        return f"<td class=n><span>{escape(cell.text)}{small}</span></td>"
    return f"<td><span>{escape(cell)}</span></td>"


def _inline(text: str) -> str:
    """Escaped text with `code` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _subscripts(text: str) -> str:
    """``Acc_e`` with its index below the line."""
    return re.sub(r"_(\w)\b", r"<sub>\1</sub>", escape(text))
