"""The page: one file that holds all it shows."""

import base64
import io
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from PIL import Image

from support.evaluation import BETTER, FLAGS, verdicts
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    Card,
    Grid,
    Picture,
    Plot,
    Series,
    Text,
    bar_plot,
    compare_grid,
    line_plot,
    manifest,
    method_grid,
    pareto_plots,
    rows_table,
    summarise,
    write_report,
)
from trace_erasure.evaluation.report.plots import nice_ticks
from trace_erasure.pipeline.image_store import ImageStore

VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """Checks that tags nest and collects what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.words = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.words.append(data)


def series():
    return Series("trace", y=[0.1, math.nan, 0.4], x=[0, 1, 2], low=[0, 0, 0.3], high=[0.2, 1, 0.5])


def test_the_page_is_one_file_with_everything_in_it(tmp_path):
    rows = [*summarise(verdicts(FLAGS)), *summarise(verdicts(BETTER, method="base"))]
    small, large = Image.new("RGB", (16, 16), (1, 2, 3)), Image.new("RGB", (1200, 600), (9, 9, 9))
    pair = Picture(small, "original", "fox 97 %"), Picture(large, "erased", "cloud", True)
    cards = (Card(pair, "a <fox>", "seed 1"),)
    path = write_report(
        tmp_path / "out",
        [
            Text("One `word` & more.\n\nTwo."),
            rows_table(rows, "Objects"),
            Grid("Before and after", cards, "Equal seeds."),
            Plot("Curve", line_plot([series()], title="t", x_label="x", y_label="y")),
            manifest(seeds=[1, 2], judges={"resnet": "resnet@0"}),
        ],
        title="Fox <removed>",
        subtitle="A small test.",
    )
    assert path == tmp_path / "out" / "report.html"
    assert list(path.parent.iterdir()) == [path]
    text = path.read_text("utf-8")
    page = Page(text)
    words = " ".join(page.words)
    for wanted in ("Fox <removed>", "a <fox>", "25.0", "fox 97 %", "✓ cloud", "resnet@0", "Two."):
        assert wanted in words
    assert page.tags.count("table") == 1 and page.tags.count("svg") == 1
    for link in page.links:  # nothing is fetched
        assert link.startswith(("data:image/png;base64,", "data:image/jpeg;base64,", "#"))
    assert "@import" not in text and "url(" not in text and "<script" not in text
    pictures = [link.split(",", 1)[1] for link in page.links if link.startswith("data:")]
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for data in pictures]
    assert sizes == [(16, 16), (640, 320)]
    assert "image-rendering: pixelated" in text and "prefers-color-scheme: dark" in text
    assert write_report(tmp_path / "a.html", [], title="x") == tmp_path / "a.html"


def test_a_grid_shows_equal_items_side_by_side(tmp_path):
    store = ImageStore(tmp_path)
    store.save("a", Image.new("RGB", (4, 4), (200, 0, 0)))
    store.save("b", Image.new("RGB", (4, 4), (0, 200, 0)))
    base = verdicts([(g, True) for g, _ in FLAGS], method="base", image="a")
    after = verdicts(FLAGS, image="b")
    grid = compare_grid({"original": base, "erased": after}, store, judge="judge@1", concept="fox")
    assert len(grid.cards) == len(FLAGS)
    for card, verdict in zip(grid.cards, after, strict=True):
        before, erased = card.pictures
        assert card.caption == verdict.prompt
        assert before.image.getpixel((0, 0)) == (200, 0, 0)
        assert erased.image.getpixel((0, 0)) == (0, 200, 0)
        assert before.good is None
        assert erased.good == (verdict.correct == (verdict.group == "retain"))
        assert erased.verdict == ("fox 90 %" if verdict.correct else "cat · fox 10 %")
    few = compare_grid(
        {"a": base}, store, judge="judge@1", concept="fox", groups=["retain"], limit=2
    )
    assert [card.note.split(",")[0] for card in few.cards] == ["retain", "retain"]
    rows = method_grid(
        {"original": base, "erased": after}, store, judge="judge@1", concept="fox", limit=4
    )
    assert [card.caption for card in rows.cards] == ["original", "erased"]
    first, second = ([picture.label for picture in card.pictures] for card in rows.cards)
    assert first == second and [text.startswith("retain") for text in first].count(True) == 2
    assert all(picture.good is None for picture in rows.cards[0].pictures)
    with pytest.raises(InputError, match="no items of 'owl'"):
        compare_grid({"a": base}, store, judge="judge@1", concept="owl")


def test_plots_are_well_formed_and_to_scale():
    svg = line_plot(
        [series(), Series("base & all", [0.0, 0.5, 1.0], [0, 1, 2])],
        title="a < b",
        x_label="steps",
        y_label="rate",
        y_range=(0, 1),
    )
    root = ElementTree.fromstring(svg)
    name = lambda tag: f"{{http://www.w3.org/2000/svg}}{tag}"  # noqa: E731
    assert len(root.findall(name("circle"))) == 5  # the nan has none
    assert len(root.findall(name("polyline"))) == 3  # and breaks its line
    y = [float(c.get("cy", "nan")) for c in root.findall(name("circle"))][2:]
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.2)
    assert re.search(r"base &amp; all", svg)

    bars = bar_plot(
        ["fox", "cat"],
        [Series("trace", [0.5, math.nan], low=[0.4, math.nan], high=[0.6, math.nan])],
        title="t",
        y_range=(0, 1),
    )
    root = ElementTree.fromstring(bars)
    heights = [float(r.get("height", "nan")) for r in root.findall(name("rect"))]
    assert heights == [pytest.approx((340 - 44 - 48) / 2, abs=0.1)]
    assert "n/a" in bars


def test_many_series_are_told_apart_and_their_names_have_room():
    names = [f"method number {i}" for i in range(9)]
    many = [Series(name, [0.0, i / 8], [0, 1]) for i, name in enumerate(names)]
    root = ElementTree.fromstring(line_plot(many, title="t", x_label="x", y_label="y"))
    own = "{http://www.w3.org/2000/svg}"
    dashed = [line.get("stroke-dasharray") for line in root.findall(f"{own}polyline")]
    assert dashed[:6] == [None] * 6 and all(dashed[6:])
    width, height = map(float, root.get("viewBox", "").split()[2:])
    marks = root.findall(f"{own}rect")
    places = [(float(m.get("x", "")), float(m.get("y", ""))) for m in marks]
    assert len(set(places)) == 9 and max(x for x, _ in places) + 120 < width
    legend = max(y for _, y in places)
    lines = [float(line.get("cy", "")) for line in root.findall(f"{own}circle")]
    assert legend < min(lines) and max(lines) < height


def test_erasure_against_retention_has_a_line_a_method():
    weak = summarise(verdicts(FLAGS, method="uce × 0.5"))
    rows = [*summarise(verdicts(FLAGS, method="base")), *weak]
    rows += [*summarise(verdicts(BETTER, method="uce")), *summarise(verdicts(FLAGS))]
    (plot,) = pareto_plots(rows, "judge@1")
    root = ElementTree.fromstring(plot.svg)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.get("points", "").split()) for line in lines] == [3, 2]
    assert plot.caption.startswith("Strengths 0.5, 1.")
    assert pareto_plots([], "judge@1") == []


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 17), (0.001, 0.0042), (0, 3000), (2, 2)])
def test_ticks_are_round_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
    steps = {round(b - a, 9) for a, b in pairwise(ticks)}
    assert len(steps) <= 1
