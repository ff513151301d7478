"""Line, bar and interval plots as SVG text. Colours follow the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape as escape_html

from trace_erasure.utils.terminal import printable

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 44, 48
# Fallbacks for use outside a report page, which sets --s0 … --s5 for light and dark.
COLOURS = ("#2f6db3", "#c8622d", "#3f8f5f", "#8a5bb0", "#b08a1e", "#5f6b76")


@dataclass(frozen=True)
class Series:
    """One named line, or one set of bars.

    Attributes:
        x: numbers for lines; for bars, the categories are given to ``bar_plot``.
        y: values; ``nan`` leaves a gap.
        low, high: ends of an interval around every value, if known.
    """

    name: str
    y: Sequence[float]
    x: Sequence[float] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers within [low, high]."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def escape(text: str) -> str:
    return escape_html(printable(text))


def _again(index: int) -> bool:
    """Whether the colour of a series has been used before: it is then dashed and hollow."""
    return index >= len(COLOURS)


def _colour(index: int, what: str) -> str:
    index %= len(COLOURS)
    return f"{what}:var(--s{index},{COLOURS[index]})"


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(text)}</text>'


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _range(given: tuple[float, float] | None, values: Sequence[float]) -> tuple[float, float]:
    if given is not None:
        return given
    finite = _finite(values) or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return low, high


class _Frame:
    """Scales, grid lines, axis labels and legend that both plots share."""

    def __init__(
        self, xs: tuple[float, float], ys: tuple[float, float], names: Sequence[str] = ()
    ) -> None:
        self.xs, self.ys = xs, ys
        self.parts, height = _legend(names, LEFT)
        self.top = TOP + height

    def x(self, value: float) -> float:
        low, high = self.xs
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.ys
        return self.top + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    @property
    def foot(self) -> float:
        """Where the x axis is."""
        return self.top + HEIGHT - TOP - BOTTOM

    def grid(self) -> None:
        for tick in nice_ticks(*self.ys):
            at = self.y(tick)
            self.parts.append(
                f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
                'stroke="currentColor" stroke-opacity="0.14"/>'
            )
            self.parts.append(_text(LEFT - 8, at + 4, f"{tick:g}", "end"))

    def svg(self, title: str, x_label: str, y_label: str) -> str:
        middle = (LEFT + WIDTH - RIGHT) / 2
        self.parts.append(_text(middle, self.foot + BOTTOM - 8, x_label))
        self.parts.append(_text(LEFT - 46, self.top - 12, y_label, "start"))
        return _svg("".join(self.parts), title, self.foot + BOTTOM)


def _legend(names: Sequence[str], left: float) -> tuple[list[str], float]:
    """Coloured squares with the names beside them, and the height of all lines but the first.

    Nothing for a single series.
    """
    parts, at, y = [], float(left), 8
    for index, name in enumerate(names if len(names) > 1 else ()):
        width = 40 + 8.4 * len(name)
        if at > left and at + width - 25 > WIDTH:
            at, y = float(left), y + 18
        style = _colour(index, "stroke" if _again(index) else "fill")
        hollow = ' fill="none" stroke-width="2"' if _again(index) else ""
        parts.append(
            f'<rect x="{at:.1f}" y="{y}" width="10" height="10" rx="2" style="{style}"{hollow}/>'
        )
        parts.append(_text(at + 15, y + 9, name, "start"))
        at += width
    return parts, y - 8


def _svg(body: str, title: str, height: float) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg" '
        'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _pieces(series: Series, values: Sequence[Sequence[float]]) -> list[list[tuple[float, ...]]]:
    """Runs of (x, values…) without ``nan``."""
    pieces: list[list[tuple[float, ...]]] = [[]]
    for point in zip(series.x, *values, strict=True):
        if all(map(math.isfinite, point)):
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def line_plot(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Lines with points, and bands where intervals are given. Returns SVG."""
    every_y = [v for s in series for v in (*s.y, *s.low, *s.high)]
    every_x = [v for s in series for v in s.x]
    names = [one.name for one in series]
    frame = _Frame(_range(x_range, every_x), _range(y_range, every_y), names)
    frame.grid()
    for tick in nice_ticks(*frame.xs, count=6):
        frame.parts.append(_text(frame.x(tick), frame.foot + 18, f"{tick:g}"))
    for index, one in enumerate(series):
        if one.low and one.high:
            for piece in _pieces(one, [one.low, one.high]):
                edge = [(x, low) for x, low, _ in piece] + [(x, high) for x, _, high in piece[::-1]]
                points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in edge)
                style = _colour(index, "fill")
                frame.parts.append(
                    f'<polygon points="{points}" style="{style}" fill-opacity="0.15"/>'
                )
        for piece in _pieces(one, [one.y]):
            points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in piece)
            style = _colour(index, "stroke")
            dashes = ' stroke-dasharray="5 3"' if _again(index) else ""
            frame.parts.append(
                f'<polyline points="{points}" style="{style}" fill="none" stroke-width="2" '
                f'stroke-linejoin="round"{dashes}/>'
            )
            style = _colour(index, "fill")
            for x, y in piece:
                at = f'cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}"'
                frame.parts.append(f'<circle {at} r="2.6" style="{style}"/>')
    return frame.svg(title, x_label, y_label)


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval; ``series`` gives its colour."""

    value: float
    low: float
    high: float
    series: int = 0


def interval_plot(
    groups: Mapping[str, Sequence[Interval]],
    names: Sequence[str],
    *,
    title: str,
    x_label: str,
    x_range: tuple[float, float],
) -> str:
    """A line of text for each group and its values below it, on one scale. Returns SVG.

    Labels stand above their values, so that long ones have room on a narrow screen.

    Args:
        names: of the series, for the legend.
    """
    row, head = 18, 27
    heights = [head + row * len(values) for values in groups.values()]
    top = 34 if len(names) > 1 else 8
    height = top + sum(heights) + 44
    left, right = 8, WIDTH - 56
    at = lambda value: left + (value - x_range[0]) / (x_range[1] - x_range[0]) * (right - left)  # noqa: E731
    parts = []
    for tick in nice_ticks(*x_range):
        x = at(tick)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 40}" '
            'stroke="currentColor" stroke-opacity="0.14"/>'
        )
        parts.append(_text(x, height - 22, f"{tick:g}"))
    y = float(top)
    for label, values in groups.items():
        parts.append(_text(left, y + 17, label, "start", 'font-weight="600"'))
        for i, one in enumerate(values):
            middle = y + head + row * i
            if not math.isfinite(one.value):
                parts.append(_text(left, middle + 4, "n/a", "start"))
                continue
            if math.isfinite(one.low + one.high):
                parts.append(
                    f'<line x1="{at(one.low):.1f}" x2="{at(one.high):.1f}" y1="{middle:.1f}" '
                    f'y2="{middle:.1f}" stroke-width="3" stroke-linecap="round" '
                    f'stroke-opacity="0.45" style="{_colour(one.series, "stroke")}"/>'
                )
            parts.append(
                f'<circle cx="{at(one.value):.1f}" cy="{middle:.1f}" r="5" '
                f'style="{_colour(one.series, "fill")}"/>'
            )
            parts.append(_text(WIDTH - 8, middle + 4, f"{one.value:.1f}", "end"))
        y += head + row * len(values)
    parts += _legend(names, left)[0]
    parts.append(_text((left + right) / 2, height - 4, x_label))
    return _svg("".join(parts), title, height)


def bar_plot(
    categories: Sequence[str],
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "",
    y_label: str = "",
    y_range: tuple[float, float] | None = None,
) -> str:
    """Groups of bars from zero, with whiskers where intervals are given. Returns SVG."""
    values = [v for s in series for v in (*s.y, *s.high, *s.low)]
    names = [one.name for one in series]
    frame = _Frame((0, max(1, len(categories))), _range(y_range, [0.0, *values]), names)
    frame.grid()
    width = 0.72 / max(1, len(series))
    for slot, category in enumerate(categories):
        frame.parts.append(_text(frame.x(slot + 0.5), frame.foot + 18, category))
        for index, one in enumerate(series):
            left, value = slot + 0.14 + index * width, one.y[slot]
            centre = frame.x(left + width / 2)
            if not math.isfinite(value):
                frame.parts.append(_text(centre, frame.y(frame.ys[0]) - 4, "n/a"))
                continue
            top, foot = frame.y(max(value, 0)), frame.y(min(value, 0))
            span = frame.x(left + width * 0.94) - frame.x(left)
            frame.parts.append(
                f'<rect x="{frame.x(left):.1f}" y="{top:.1f}" width="{span:.1f}" '
                f'height="{foot - top:.1f}" rx="1.5" style="{_colour(index, "fill")}"/>'
            )
            if one.low and one.high and math.isfinite(one.low[slot] + one.high[slot]):
                ends = f'y1="{frame.y(one.low[slot]):.1f}" y2="{frame.y(one.high[slot]):.1f}"'
                frame.parts.append(
                    f'<line x1="{centre:.1f}" x2="{centre:.1f}" {ends} stroke="currentColor" '
                    'stroke-width="1.4" stroke-opacity="0.75"/>'
                )
    return frame.svg(title, x_label, y_label)
