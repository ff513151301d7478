"""One PNG of pictures before and after, column by column at equal seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

CELL = 128  # pixels of one picture; the shipped model's are 64, so exactly doubled
GAP = 6
STRIP = 18
MARGIN = 48
PAPER, INK, SOFT = "white", "black", "#62696f"
FONT_SIZE = 11
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


@dataclass(frozen=True)
class Column:
    """A prompt's pictures before and after the erasure."""

    caption: str
    before: Image.Image
    after: Image.Image


def contact_sheet(groups: Sequence[tuple[str, Sequence[Column]]]) -> Image.Image:
    """Rows ``before`` and ``after``; columns in titled groups, set apart by a wider gap."""
    font = ImageFont.load_default(FONT_SIZE)
    columns = sum(len(group) for _, group in groups)
    width = MARGIN + columns * (CELL + GAP) + (len(groups) - 1) * 3 * GAP
    sheet = Image.new("RGB", (width, 2 * STRIP + 2 * (CELL + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = 2 * STRIP
    for row, name in enumerate(("before", "after")):
        draw.text((GAP, top + row * (CELL + GAP) + CELL // 2), name, SOFT, font, anchor="lm")
    left = MARGIN
    for title, group in groups:
        draw.text((left, STRIP // 2), title, INK, font, anchor="lm")
        for column in group:
            caption = _shortened(column.caption, draw, font)
            draw.text((left, STRIP + STRIP // 2), caption, SOFT, font, anchor="lm")
            for row, image in enumerate((column.before, column.after)):
                sheet.paste(_cell(image), (left, top + row * (CELL + GAP)))
            left += CELL + GAP
        left += 3 * GAP
    return sheet


def picture_rows(rows: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """Rows of pictures, each with its title on the left."""
    font = ImageFont.load_default(FONT_SIZE)
    width = MARGIN + max(len(pictures) for _, pictures in rows) * (CELL + GAP)
    sheet = Image.new("RGB", (width, GAP + len(rows) * (CELL + GAP)), PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, (title, pictures) in enumerate(rows):
        top = GAP + row * (CELL + GAP)
        draw.text((GAP, top + CELL // 2), title, SOFT, font, anchor="lm")
        for column, image in enumerate(pictures):
            sheet.paste(_cell(image), (MARGIN + column * (CELL + GAP), top))
    return sheet


def _cell(image: Image.Image) -> Image.Image:
    return image.convert("RGB").resize((CELL, CELL), Image.Resampling.NEAREST)


def stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """Several sheets below one another, as wide as the widest."""
    width, height = max(sheet.width for sheet in sheets), sum(sheet.height for sheet in sheets)
    page = Image.new("RGB", (width, height), PAPER)
    top = 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height
    return page


def _shortened(text: str, draw: ImageDraw.ImageDraw, font: Font) -> str:
    """``text``, cut off with an ellipsis where it is wider than a picture."""
    if draw.textlength(text, font) <= CELL:
        return text
    while text and draw.textlength(text + "…", font) > CELL:
        text = text[:-1]
    return text.rstrip() + "…"
