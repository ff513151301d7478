"""The check of certificates: what it compares, and when a detector breaks a bound."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.guarantees import certificates, detectors
from trace_erasure.concepts.concept import Concept
from trace_erasure.evaluation import Row
from trace_erasure.math.statistics import Estimate

LIKE = Row("emoji-sd", "certificate/retained", "stage 1 × 0.05", "fox", "detectors", "",
           math.nan, None, 40, math.nan, math.nan, 0, "")  # fmt: skip


def test_retained_prompts_never_name_the_concept():
    found = certificates.retained("fox", 20)
    assert len(set(found)) == 20 and not any("fox" in prompt for prompt in found)


def test_concept_prompts_stand_beside_the_surrogate_s():
    concept = Concept(
        "fox", surrogate="cat", synonyms=("vixen",), templates=("a {x}", "two of a {x}")
    )
    erasure: Any = SimpleNamespace(record=SimpleNamespace(concepts=(concept,)))
    own, instead = certificates.redirected(erasure, 20)
    assert own == ("a fox", "two of a fox", "a vixen", "two of a vixen")
    assert instead == ("a cat", "two of a cat") * 2
    assert certificates.redirected(erasure, 2) == (("a fox", "a vixen"), ("a cat", "a cat"))


def test_gaps_are_paired_and_violations_are_beyond_the_whole_interval():
    original = np.arange(40) % 2 == 0
    same = detectors.gap(original, original, 20)
    assert same == Estimate(0.0, 0.0, 0.0)
    every = detectors.gap(np.ones(40, bool), original, 20)
    assert every.value == 0.5 and 0 < every.low < 0.5 < every.high < 1
    gone = detectors.gap(np.zeros(40, bool), original, 20)
    assert gone.value == -0.5 and gone.high < 0
    gaps = {"same": same, "more": every, "less": gone}
    assert detectors.violations(gaps, 0.01) == ["more", "less"]
    assert detectors.violations(gaps, 0.6) == []
    # A difference beyond the bound that chance explains is none.
    assert detectors.violations({"few": Estimate(0.1, -0.05, 0.25)}, 0.05) == []


def test_vacuous_bounds_are_called_so():
    gaps = {"red": Estimate(-0.2, -0.3, -0.1), "bright": Estimate(0.05, 0.0, 0.1)}
    rows = {row.metric: row for row in detectors.rows_of(Estimate(0.02, 0.01, 0.0288), gaps, LIKE)}
    assert rows["bound"].value == pytest.approx(0.12)
    assert rows["kl"].high == 0.0288 and rows["gap"].value == 0.2
    assert rows["gap_red"].low == -0.3
    assert (rows["violations"].numerator, rows["violations"].n) == (0, 2)
    tight = {row.metric: row for row in detectors.rows_of(Estimate(0, 0, 1e-6), gaps, LIKE)}
    assert tight["violations"].numerator == 1
    assert "vacuous_bound" in {
        row.metric for row in detectors.rows_of(Estimate(9, 8, 10), gaps, LIKE)
    }


def test_detectors_say_yes_or_no_of_every_picture():
    import torch

    judge = SimpleNamespace(classify=lambda images: torch.eye(4)[: len(images)])
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    images = [Image.new("RGB", (16, 16), "white"), Image.new("RGB", (16, 16), "red")]
    images.append(Image.fromarray(noise))
    found = {key: see(images).tolist() for key, see in detectors.detectors([judge, judge]).items()}
    assert len(found) >= 5 and all(len(value) == 3 for value in found.values())
    assert found["bright"] == [True, False, False]
    assert found["colourful"][:2] == [False, True] and found["red"][1]
    assert found["edges"] == [False, False, True]
    assert found["even_label"] == [True, False, True]
