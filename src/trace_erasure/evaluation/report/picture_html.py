"""Grids of pictures as HTML; a click shows a picture large, without a script."""

from __future__ import annotations

import base64
import io
from html import escape as escape_html

from PIL import Image

from trace_erasure.evaluation.report.grids import Card, Grid, Picture
from trace_erasure.utils.terminal import printable

EXACT = 256
"""Pixels up to which a picture is kept bit for bit."""
LARGEST = 640
"""Pixels: bigger pictures are reduced, so that a page stays a page."""
QUALITY = 90


def escape(text: str, quote: bool = True) -> str:
    """``text`` as HTML, control characters shown."""
    return escape_html(printable(text), quote=quote)


def cards_html(grid: Grid) -> str:
    """The cards of a grid, which wrap to the width of what is around them."""
    cards = "".join(_card(card, grid.sensitive) for card in grid.cards)
    hint = '<p class="hint">Blurred: click a picture to see it.</p>' if grid.sensitive else ""
    return f'{hint}<div class="cards{" lead" if grid.lead else ""}">{cards}</div>'


def source_of(image: Image.Image) -> str:
    """A picture as a ``data:`` address: exact where it is small, else reduced and a JPEG.

    >>> source_of(Image.new("RGB", (8, 8))).partition(";")[0]
    'data:image/png'
    >>> source_of(Image.new("RGB", (1024, 1024))).partition(";")[0]
    'data:image/jpeg'
    """
    buffer = io.BytesIO()
    if max(image.size) <= EXACT:
        image.convert("RGB").save(buffer, format="PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    image = image.convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    image.save(buffer, format="JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _card(card: Card, sensitive: bool) -> str:
    caption = f"<figcaption><b>{escape(card.caption)}</b> {escape(card.note)}</figcaption>"
    pictures = "".join(_picture(picture, sensitive) for picture in card.pictures)
    return f"<figure>{caption}<div>{pictures}</div></figure>"


def _picture(picture: Picture, sensitive: bool) -> str:
    # Not by colour alone: a sign marks it, too.
    mark, tone = {True: ("✓ ", "good"), False: ("✗ ", "bad"), None: ("", "")}[picture.good]
    alt = escape(f"{picture.label}: {picture.verdict}".strip(": "), quote=True)
    # The box is what the picture's look depends on: small or large, blurred or not.
    veil, does = (" veil", "show the picture") if sensitive else ("", "show it large")
    small = "" if max(picture.image.size) > EXACT else " class=small"
    box = f'<input type="checkbox" aria-label="{does}">'
    shown = f'<img src="{source_of(picture.image)}" alt="{alt}"{small}>'
    return (
        f'<span class="picture"><span class="label">{escape(picture.label)}</span>'
        f'<label class="zoom{veil}">{box}{shown}</label>'
        f'<span class="verdict {tone}">{mark}{escape(picture.verdict)}</span></span>'
    )
