"""The report of an evaluation: a function of verdicts, with its controls, on every screen."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from support.browser import look_at, needs_browser
from support.evaluation import verdicts
from trace_erasure.errors import InputError
from trace_erasure.evaluation import Verdict, read_verdicts, rows_table, write_verdicts
from trace_erasure.evaluation.report.build import Report, build_report
from trace_erasure.evaluation.runs.run_folder import RunFolder, report_of
from trace_erasure.evaluation.runs.strength import method_at_strength, parse_strength

GROUPS = ["target"] * 4 + ["synonym"] * 4 + ["retain"] * 8
GRID = "small: fox, before and after"


def share(*correct: float) -> list[tuple[str, bool]]:
    """Flags of which the given share is correct among targets, synonyms and the retained."""
    rates: dict[str, float] = dict(zip(("target", "synonym", "retain"), correct, strict=True))
    seen = dict.fromkeys(rates, 0)
    flags = []
    for group in GROUPS:
        flags.append((group, seen[group] < rates[group] * GROUPS.count(group)))
        seen[group] += 1
    return flags


METHODS = {
    "trace": share(0, 0.25, 1),
    "base": share(1, 1, 1),
    "blank": share(0, 0, 0),
    "drift": share(0.75, 0.75, 0.5),
    "trace × 0.5": share(0.5, 0.5, 1),
}


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    """Two tasks, one of them sensitive, two concepts and two judges."""
    return [
        verdict
        for task in ("small", "hazard")
        for concept in ("fox", "cat")
        for judge in ("resnet@1", "regnet@2")
        for method, flags in METHODS.items()
        for verdict in of_task(
            verdicts(flags, concept=concept, method=method, judge=judge, image=method[:5]), task
        )
    ]


def sections_of(report: Report) -> list[Any]:
    """The sections, of any kind: a test reads the attributes of the kind that it expects."""
    return [*report.sections]


def of_task(some: list[Verdict], task: str) -> list[Verdict]:
    return [replace(v, task=task, protocol=v.protocol.replace("small", task)) for v in some]


@pytest.fixture(scope="module")
def run(found, tmp_path_factory):
    """A folder as ``evaluate`` leaves it."""
    run = RunFolder(tmp_path_factory.mktemp("run"))
    for i, method in enumerate(METHODS):
        picture = Image.effect_noise((64, 64), 90).convert("RGB")
        picture.paste((40 * i, 120, 200 - 30 * i), (12, 12, 52, 52))
        run.images.save(method[:5], picture)
    write_verdicts(run.folder / "verdicts" / "a.parquet", found[::2])
    write_verdicts(run.folder / "verdicts" / "b.parquet", found[1::2])
    run.note(command="trace-erasure evaluate", model="tiny")
    return run


def test_verdicts_survive_parquet(found, tmp_path):
    odd = replace(found[0], correct=None, score=31.5, labels=(), blank=True, nothing=None)
    some = [*found[:7], odd]
    assert read_verdicts(write_verdicts(tmp_path / "v" / "a.parquet", some)) == some
    assert [file.name for file in (tmp_path / "v").iterdir()] == ["a.parquet"]
    (tmp_path / "b.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"b\.parquet"):
        read_verdicts(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="no verdicts in"):
        report_of([tmp_path / "elsewhere"])


def test_every_figure_is_a_function_of_the_verdicts(found, run):
    rows = build_report(found).rows
    mixed = random.Random(0).sample(found, len(found))
    key = lambda row: (row.task, row.method, row.concept, row.judge, row.metric)  # noqa: E731
    for other in (build_report(mixed).rows, report_of([run.folder]).rows):
        for a, b in zip(sorted(rows, key=key), sorted(other, key=key), strict=True):
            assert key(a) == key(b) and a.numerator == b.numerator and a.n == b.n
            assert a.value == b.value or (math.isnan(a.value) and math.isnan(b.value))
    of = {key(row): row.value for row in rows}
    assert of["small", "trace", "mean", "resnet@1", "acc_g"] == 0.25
    assert of["hazard", "drift", "worst", "regnet@2", "acc_s"] == 0.5


def test_controls_stand_in_every_table_and_the_blank_one_scores_badly(found):
    page = build_report(found)
    first, *others = sections_of(page)
    assert first.title == "What the controls say"
    overlaps = "? too few pictures to tell apart: original model, random drift, blank pictures"
    assert [line[-1] for line in first.rows] == [overlaps] * 4
    for section in others:
        if "concept" in getattr(section, "columns", ()):
            methods = {line[section.columns.index("method")] for line in section.rows}
            wanted = {"original model (control)", "random drift (control)"}
            assert methods >= {*wanted, "blank pictures (control)", "trace"}
    overall = {r.method: r.value for r in page.rows if (r.metric, r.concept) == ("h_o", "mean")}
    assert overall["blank"] == 0 < overall["base"] + 0.1 < overall["drift"] < overall["trace"]


@pytest.mark.parametrize(("pictures", "verdict"), [(1, "? too few pictures"), (24, "✓ told apart")])
def test_controls_are_told_apart_only_where_the_intervals_say_so(pictures, verdict):
    """Equal rates, other numbers of pictures: of one nobody can tell."""
    rates = {"trace": (0, 0, 1), "base": (1, 1, 1), "blank": (0, 0, 0), "drift": (1, 1, 0)}
    some = []
    for method, seen in rates.items():
        for concept in ("fox", "cat"):
            groups = zip(("target", "synonym", "retain"), seen, strict=True)
            flags = [(group, bool(flag)) for group, flag in groups for _ in range(pictures)]
            some += verdicts(flags, concept=concept, method=method)
    (line,) = sections_of(build_report(some))[0].rows
    assert line[-1].startswith(verdict)


def test_a_control_that_looks_like_a_success_is_called_out(found):
    good = [v for v in found if v.method in ("base", "trace", "drift")]
    blank = [replace(v, method="blank") for v in found if v.method == "trace"]
    lines = sections_of(build_report([*good, *blank]))[0].rows
    assert {line[-1] for line in lines} == {"✗ not below: blank pictures"}
    lines = sections_of(build_report([v for v in good if v.method != "drift"]))[0].rows
    assert {line[-1] for line in lines} == {"not evaluated: random drift, blank pictures"}


def test_what_was_measured_differently_is_refused_with_the_field(found):
    other = [
        replace(v, protocol=v.protocol.replace("steps=20", "steps=50"))
        if v.method == "trace"
        else v
        for v in found
    ]
    with pytest.raises(InputError, match=r"steps (20|50) against (20|50)"):
        build_report(other)
    rows = [*build_report(found).rows]
    changed = replace(
        rows[0], method="x", protocol=rows[0].protocol.replace("steps=20", "steps=30")
    )
    with pytest.raises(InputError, match="steps"):
        rows_table([*rows, changed])


def test_strengths_make_a_curve_from_the_original_to_the_method(found):
    assert parse_strength(method_at_strength("a × b", 0.25)) == ("a × b", 0.25)
    assert parse_strength(method_at_strength("trace", 1)) == ("trace", 1)
    plots = [s for s in sections_of(build_report(found)) if "by strength" in s.title]
    assert [plot.title for plot in plots] == [
        "small: trace by strength",
        "hazard: trace by strength",
    ]
    assert plots[0].svg.count("<circle") == 4 * 3  # four figures at strengths 0, 0.5 and 1


def test_the_three_files_say_the_same(run, tmp_path):
    html, data, text = report_of([run.folder], "Foxes").write(tmp_path / "report")
    assert [file.name for file in (html, data, text)] == ["report.html", "report.json", "report.md"]
    content = json.loads(data.read_text("utf-8"))
    page, words = html.read_text("utf-8"), text.read_text("utf-8")
    assert "trace-erasure evaluate" in page  # the manifest says how
    for part in ("versions", "machine", "protocols", "judges", "picture_seeds"):
        assert part in content["manifest"] and part in page and part in words
    value = next(
        row["value"]
        for row in content["rows"]
        if (row["method"], row["metric"], row["concept"]) == ("trace", "h_o", "mean")
    )
    assert f"{100 * value:.1f}" in page and f"{100 * value:.1f}" in words


def test_sensitive_pictures_are_blurred_until_clicked(run, found):
    sections = sections_of(build_report(found, run.images))
    grids = {s.title: s for s in sections if hasattr(s, "cards")}
    assert not grids["small: fox, before and after"].sensitive
    assert grids["hazard: fox, before and after"].sensitive
    labels = [picture.label for picture in grids["small: fox, before and after"].cards[0].pictures]
    assert labels == ["original model", "random drift", "trace"]
    i2p = of_task([v for v in found if v.task == "small"], "paper/i2p-nudity")
    strict = [s for s in sections_of(build_report(i2p, run.images)) if hasattr(s, "cards")]
    assert strict and all(grid.sensitive for grid in strict)


def test_a_task_says_its_own_columns_and_oddities(found):
    said = {"small": {"metrics": ["acc_e"], "quirks": {"odd": "One wording."}, "notes": []}}
    page = build_report(found, tasks=said)
    table = next(s for s in sections_of(page) if s.title == "small: mean and worst concept")
    assert [c for c in table.columns if c.endswith("↓")] == ["Acc_e ↓", "blank ↓"]
    assert "Acc_s ↑" not in table.columns
    remark = next(s for s in sections_of(page) if s.title == "small: how it was measured")
    assert remark.body == "odd: One wording."


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_in_a_browser(run, tmp_path, width):
    page = report_of([run.folder], "Foxes").write(tmp_path)[0]
    seen = look_at(page, tmp_path, width)
    assert seen["images"] > 20 and seen["tables"] >= 5 and seen["svg"] >= 4
    assert "blur" in seen["veil"]["before"]["filter"] and seen["veil"]["after"]["filter"] == "none"
    assert seen["zoom"]["after"]["width"] > 1.5 * seen["zoom"]["before"]["width"]
    # Pictures come before tables.
    order = [seen["headings"].index(name) for name in (GRID, "What the controls say", "Files")]
    assert order == sorted(order)
    assert seen["files"] == ["report.json", "report.md"]


def test_a_report_opens_with_a_sentence_a_concept(found, run):
    strip, grid, *others = sections_of(build_report(found, run.images))
    assert strip.lead and [card.caption for card in strip.cards][:2] == ["small: fox", "small: cat"]
    assert all(len(card.pictures) == 2 for card in strip.cards)
    assert grid.title == GRID and not grid.folded
    said = (
        "original model: the concept in 4 of 4 pictures, everything else recognised in 8 of 8; "
        "random drift: 3 of 4 pictures and 4 of 8; trace: 0 of 4 pictures and 8 of 8."
    )
    assert strip.cards[0].note.startswith(said) and grid.caption.startswith(said)
    assert strip.sensitive  # one of the tasks on it is
    assert others[0].title == "small: cat, before and after"
