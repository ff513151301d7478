"""The figures of the published benchmarks, from rows that papers print."""

import math
from dataclasses import replace
from typing import Any

import pytest

from support.evaluation import verdicts
from trace_erasure.errors import InputError
from trace_erasure.evaluation import judge_agreement, rows_table, summarise
from trace_erasure.evaluation.metrics.per_concept import detections
from trace_erasure.evaluation.metrics.registry import METRICS


def values(rows, concept="fox"):
    return {row.metric: row for row in rows if row.concept == concept}


@pytest.mark.parametrize(
    ("acc_e", "acc_s", "acc_g", "h_o"),
    [(0.0906, 0.9539, 0.1003, 0.9203), (0.4032, 0.9879, 0.4983, 0.6409)],
    ids=["MACE airplane", "UCE airplane"],
)
def test_published_rows_give_their_h_o(acc_e, acc_s, acc_g, h_o):
    """As mean probabilities, which is what MACE's accuracy is."""
    chance = {"target": acc_e, "retain": acc_s, "synonym": acc_g}
    flags = [(group, False) for group in chance for _ in range(4)]
    items = [replace(v, probability=chance[v.group]) for v in verdicts(flags)]
    found = values(summarise(items))
    assert found["h_o_prob"].value == pytest.approx(h_o, abs=2e-4)
    assert found["prob_e"].value == pytest.approx(acc_e)
    # Nobody won a single picture, so the accuracy by top-1 says something else.
    assert found["acc_e"].value == 0 and found["h_o"].value == 0


def test_the_mean_h_o_is_not_that_of_the_means():
    flags = [("target", False), ("synonym", False), ("retain", True)]
    fox = verdicts(flags)  # probabilities 0.1, 0.1 and 0.9
    cat = [
        replace(v, probability=1 - v.probability)
        for v in verdicts(flags, concept="cat")
        if v.probability is not None
    ]
    assert len(cat) == len(fox)
    rows = summarise([*fox, *cat])
    mean = values(rows, "mean")
    assert mean["h_o_prob"].value == pytest.approx((0.9 + 0.1) / 2)
    assert mean["h_o_prob_of_means"].value == pytest.approx(0.5)
    assert mean["prob_e"].value == pytest.approx(0.5)


def test_a_set_without_a_face_is_nan_with_its_count():
    flags = [("target", False)] * 3 + [("retain", True), ("retain", False)]
    items = verdicts(flags)
    items = [replace(v, nothing=v.group == "target") for v in items]
    found = values(summarise(items))
    assert math.isnan(found["acc_e_shown"].value) and found["acc_e_shown"].n == 0
    assert math.isnan(found["h_c_shown"].value)
    assert (found["nothing_e"].numerator, found["nothing_e"].n) == (3, 3)
    # With every picture in the denominator they are not recognised.
    assert (found["acc_e"].value, found["acc_e"].n) == (0, 3)
    assert (found["acc_s_shown"].numerator, found["acc_s_shown"].n) == (1, 2)
    table = rows_table(list(found.values()), metrics=["acc_e_shown", "nothing_e"])
    cells: list[Any] = [*table.rows[0][-2:]]
    assert [cell.text for cell in cells] == ["n/a", "100.0"]
    assert cells[0].detail == "n 0"


def test_detections_are_counted_one_by_one_and_pictures_apart():
    finds = [
        ("FEMALE_BREAST_EXPOSED 0.900", "FEMALE_BREAST_EXPOSED 0.700", "FACE_FEMALE 0.990"),
        ("BELLY_EXPOSED 0.590",),
        (),
        ("FEET_EXPOSED 0.600",),
    ]
    flags = [("target", bool(i in (0, 3))) for i in range(4)]
    items = [
        replace(v, detections=found, threshold=0.6, probability=None, nothing=None)
        for v, found in zip(verdicts(flags), finds, strict=True)
    ]
    found = values(summarise(items))
    assert found["detections"].numerator == found["detections"].value == 3
    assert found["detections"].n == 4
    assert found["detections_female_breast_exposed"].value == 2
    assert found["detections_belly_exposed"].value == 0
    assert found["detections"].low < 3 < found["detections"].high
    assert (found["acc_e"].numerator, found["acc_e"].n) == (2, 4)
    assert "prob_e" not in found
    # The same verdicts at the package's own threshold.
    assert detections(items, 0.25)["detections"][0] == 4


def test_prompts_count_once_however_many_seeds():
    flags = [("target", i in (0, 1)) for i in range(6)]
    items = [replace(v, prompt=f"p{i // 2}") for i, v in enumerate(verdicts(flags))]
    found = values(summarise(items))["prompt_rate"]
    assert (found.numerator, found.n) == (1, 3)


def test_unlearncanvas_tells_its_domains_apart():
    style = lambda name: (f"style/{name}",)  # noqa: E731
    flags = [("target", True), ("target", False), ("target", False), *[("retain", True)] * 5]
    items = verdicts(flags)
    expected = [style("Monet")] * 3 + [style("Rust"), style("Neon")] + [("object/Dogs",)] * 3
    items = [replace(v, expected=e) for v, e in zip(items, expected, strict=True)]
    items[-1] = replace(items[-1], correct=False)
    found = values(summarise(items))
    assert (found["ua"].numerator, found["ua"].n) == (2, 3)
    assert (found["ira"].numerator, found["ira"].n) == (2, 2)
    assert (found["cra"].numerator, found["cra"].n) == (2, 3)


def test_scores_of_pairs_and_their_change():
    flags = [("dual", None), ("dual", None), ("retain", None)]
    bare: dict[str, Any] = dict(labels=(), probability=None, correct=None, nothing=None)
    after = verdicts(flags, scores=[20.0, 30, 25], **bare)
    before = verdicts(flags, scores=[26.0, 28, 25], method="base", **bare)
    found = values(summarise(after, before))
    assert found["clip_in_prompt"].value == 25
    assert found["clip_in_prompt_delta"].value == -2
    assert found["clip_in_prompt_delta"].low == -6 and found["clip_in_prompt_delta"].high == 2
    assert found["clip_s_delta"].value == 0


def test_the_share_among_prompts_that_trigger_at_all():
    base = verdicts([("target", i < 2) for i in range(8)], method="base")
    after = verdicts([("target", i in (0, 7)) for i in range(8)])
    found = values(summarise(after, base))
    assert (found["acc_e"].numerator, found["acc_e"].n) == (2, 8)
    assert (found["acc_e_triggered"].numerator, found["acc_e_triggered"].n) == (1, 2)
    never = [replace(v, correct=False) for v in base]
    assert math.isnan(values(summarise(after, never))["acc_e_triggered"].value)


def test_two_judges_and_how_far_they_agree():
    one = verdicts([("target", i < 3) for i in range(6)])
    two = verdicts([("target", i in (0, 5)) for i in range(6)], judge="judge@2")
    found = values(judge_agreement([*one, *two], "judge@1", "judge@2"))
    assert found["agreement"].judge == "judge@1 & judge@2"
    assert {m: (r.numerator, r.n) for m, r in found.items()} == {
        "agreement": (3, 6),
        "seen_by_both": (1, 6),
        "seen_by_either": (4, 6),
    }
    with pytest.raises(InputError, match="did not see the same"):
        judge_agreement([*one, *two[:-1]], "judge@1", "judge@2")


def test_every_metric_says_which_way_is_good():
    assert all(metric.better in ("low", "high") and metric.meaning for metric in METRICS.values())
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
