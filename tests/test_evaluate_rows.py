"""Verdicts to figures: right numbers, honest intervals, no forbidden tables."""

import json
import math
from dataclasses import replace

import pytest

from support.evaluation import BETTER, FLAGS, verdicts
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    Row,
    Verdict,
    append_jsonl,
    check_protocols,
    read_jsonl,
    rows_table,
    summarise,
    to_json_text,
    to_markdown,
)
from trace_erasure.math.statistics import h_c, h_o, wilson_interval


def figure(rows, metric, concept="fox", **keys):
    found = [
        row
        for row in rows
        if (row.metric, row.concept) == (metric, concept)
        and all(getattr(row, key) == value for key, value in keys.items())
    ]
    assert len(found) == 1
    return found[0]


def test_the_figures_of_one_concept():
    rows = summarise(verdicts(FLAGS))
    counts = {
        m: (figure(rows, m).numerator, figure(rows, m).n)
        for m in ("acc_e", "acc_g", "acc_s", "acc_synonym", "acc_template", "acc_pair")
    }
    assert counts == {
        "acc_e": (1, 4),
        "acc_g": (2, 4),
        "acc_s": (3, 4),
        "acc_synonym": (1, 2),
        "acc_template": (0, 1),
        "acc_pair": (1, 1),
    }
    e, g, s = (figure(rows, metric) for metric in ("acc_e", "acc_g", "acc_s"))
    total, pair = figure(rows, "h_o"), figure(rows, "h_c")
    assert total.value == pytest.approx(h_o(0.25, 0.75, 0.5))
    assert total.low == pytest.approx(h_o(e.high, s.low, g.high)) and total.numerator is None
    assert total.high == pytest.approx(h_o(e.low, s.high, g.low))
    assert pair.value == pytest.approx(h_c(0.25, 0.75))
    low, high = wilson_interval(1, 4)
    assert e.low <= low < e.value < high <= e.high
    assert not any(row.metric in ("acc_hint", "clip_e", "acc_s_relative") for row in rows)


def test_a_leg_without_items_is_nan_with_its_count():
    rows = summarise(verdicts([("retain", True), ("retain", False)]))
    for concept in ("fox", "mean", "worst"):
        assert math.isnan(figure(rows, "acc_e", concept).value)
        assert math.isnan(figure(rows, "h_o", concept).value)
    assert figure(rows, "acc_e").n == 0
    assert figure(rows, "acc_s").value == 0.5


def test_mean_and_worst_over_concepts():
    cat = verdicts(BETTER, concept="cat")
    rows = summarise([*verdicts(FLAGS), *cat])
    fox, best = figure(rows, "h_o"), figure(rows, "h_o", "cat")
    mean, worst = figure(rows, "h_o", "mean"), figure(rows, "h_o", "worst")
    assert best.value == 1
    assert mean.value == pytest.approx((fox.value + best.value) / 2) and mean.n == 2
    assert (worst.value, worst.low, worst.n) == (fox.value, fox.low, fox.n)
    assert figure(rows, "acc_e", "worst").value == 0.25  # the highest
    assert figure(rows, "acc_s", "worst").value == 0.75  # the lowest
    of_means = figure(rows, "h_o_of_means", "mean").value
    assert of_means == pytest.approx(h_o(0.125, 0.875, 0.25)) and of_means != mean.value


def test_failed_pictures_are_counted_not_dropped():
    items = verdicts(FLAGS)
    items[0] = replace(items[0], correct=False, nothing=True, blank=True)
    items[8] = replace(items[8], correct=False, nothing=True)
    rows = summarise(items)
    assert (figure(rows, "nothing_e").numerator, figure(rows, "nothing_e").n) == (1, 8)
    assert (figure(rows, "nothing_s").numerator, figure(rows, "nothing_s").n) == (1, 4)
    assert (figure(rows, "blank").numerator, figure(rows, "blank").n) == (1, 12)
    assert figure(rows, "acc_s").n == 4


def test_verdicts_that_are_missing_or_doubled_are_refused():
    whole = verdicts(FLAGS)
    for broken in (whole[:-1], [*whole, whole[0]]):
        with pytest.raises(InputError, match="not one each for the 12 items"):
            summarise(broken)
    assert summarise(whole[::-1]) == summarise(whole)


def test_scores_are_averaged_with_an_interval():
    scores = [20.0, 30, 20, 30, 1, 2, 3, 4, 5, 6, 7, 8]
    items = verdicts(FLAGS, scores=scores)
    scorer = [replace(v, labels=(), probability=None, correct=None, nothing=None) for v in items]
    rows = summarise(scorer)
    row = figure(rows, "clip_e")
    assert (row.value, row.n, row.numerator) == (25.0, 4, None)
    assert 20 <= row.low < 25 < row.high <= 30
    assert figure(rows, "clip_s").value == 6.5
    assert figure(rows, "h_a").value == 6.5 - 25
    assert not any(row.metric.startswith(("acc", "h_o", "h_c")) for row in rows)


def test_retention_relative_to_the_original():
    base = verdicts([(g, True) for g, _ in FLAGS], method="base")
    row = figure(summarise(verdicts(FLAGS), base), "acc_s_relative")
    assert row.value == 0.75
    assert row.low < 0.75 < row.high
    own = figure(summarise(base, base), "acc_s_relative")
    assert (own.value, own.low, own.high) == (1, 1, 1)
    with pytest.raises(InputError, match="no verdicts of the original model"):
        summarise(verdicts(FLAGS), verdicts(FLAGS, method="base", judge="other@2"))


def test_records_survive_a_file(tmp_path):
    items, path = verdicts(FLAGS), tmp_path / "runs" / "verdicts.jsonl"
    append_jsonl(path, items[:5])
    append_jsonl(path, items[5:])
    assert read_jsonl(path, Verdict) == items
    rows = summarise(verdicts([("retain", True)]))
    append_jsonl(tmp_path / "rows.jsonl", rows)
    again = read_jsonl(tmp_path / "rows.jsonl", Row)
    assert list(map(repr, again)) == list(map(repr, rows))  # nan is not equal to itself
    for line in (tmp_path / "rows.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rows.jsonl", "runs"]


def test_a_failed_append_leaves_the_file_alone(tmp_path):
    path = tmp_path / "verdicts.jsonl"
    append_jsonl(path, verdicts(FLAGS))
    before = path.read_bytes()

    def dying():
        yield verdicts(FLAGS)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        append_jsonl(path, dying())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_damaged_file_is_named_with_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    append_jsonl(path, summarise(verdicts(FLAGS)))
    with pytest.raises(InputError, match="line 1 is not a verdict"):
        read_jsonl(path, Verdict)
    path.write_text(path.read_text() + "{")
    with pytest.raises(InputError, match="is not JSON"):
        read_jsonl(path, Row)
    with pytest.raises(InputError, match="no file"):
        read_jsonl(tmp_path / "none", Row)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("guidance_scale=3.5", "guidance_scale=7.5", "guidance_scale 3.5 against 7.5"),
        ("scheduler=DDIMScheduler", "scheduler=PNDM", "scheduler DDIMScheduler against PNDM"),
        ("version=1", "version=2", "version 1 against 2"),
        ("items=12:", "items=13:", "items 12:"),
    ],
)
def test_figures_measured_differently_share_no_table(before, after, words):
    rows = summarise(verdicts(FLAGS))
    other = [
        replace(row, method="esd", protocol=row.protocol.replace(before, after))
        for row in summarise(verdicts(FLAGS, method="esd"))
    ]
    for make in (check_protocols, rows_table, to_markdown):
        with pytest.raises(InputError, match=words):
            make([*rows, *other])
    one = [row for row in other if row.concept == "fox"]
    cat = [replace(row, concept="cat") for row in one]
    if before.startswith("items"):
        check_protocols([*rows, *cat])  # concepts have items of their own
    else:
        with pytest.raises(InputError, match=words):
            check_protocols([*rows, *cat])


def test_a_table_has_every_figure_with_its_count():
    rows = [*summarise(verdicts(FLAGS)), *summarise(verdicts(BETTER, method="base"))]
    text = to_markdown(rows, "Objects")
    assert text.startswith("### Objects\n")
    assert "| method | concept | Acc_e ↓ | Acc_g ↓ | Acc_s ↑ | H_o ↑ |" in text
    line = next(line for line in text.splitlines() if line.startswith("| trace | fox"))
    assert "25.0 (" in line and "n 4)" in line
    assert "model tiny" in text and "judge judge@1" in text  # what is the same everywhere
    assert "n/a (n 0)" in to_markdown(summarise(verdicts([("retain", True)])))
    assert len(json.loads(to_json_text(rows))) == len(rows)
    with pytest.raises(InputError, match="given twice"):
        rows_table([*rows, *rows])
    with pytest.raises(InputError, match="unknown metric 'acc'"):
        rows_table(rows, metrics=["acc"])
