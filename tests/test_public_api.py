"""The public functions on tiny pipelines: what they return, and one message for bad input."""

from __future__ import annotations

import doctest
import importlib
import math

import pytest
import torch

import trace_erasure
from support.artifacts import assert_same, snapshot
from support.evaluation import classifier, small_task  # noqa: F401
from trace_erasure import Concept, InputError, attack, certify, evaluate, forecast
from trace_erasure.attacks.budget import Budget
from trace_erasure.testing import tiny_erasure, tiny_sdxl, tiny_stable_diffusion

CAPTIONS = ("a red dog", "a photo of a horse", "the painting of a dog", "a red horse in the photo")


@pytest.fixture(scope="module")
def made():
    return tiny_erasure()


@pytest.fixture(autouse=True)
def few_captions(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("world_captions", "photo_captions"):
        monkeypatch.setattr(f"trace_erasure.concepts.captions.{name}", lambda *_: CAPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evaluate", "attack", "certify", "forecast"])
def test_examples_run(name):
    module = importlib.import_module(getattr(trace_erasure, name).__module__)
    finder = doctest.DocTestFinder(recurse=False)
    tests = finder.find(getattr(module, name), name, globs={})
    assert sum(len(test.examples) for test in tests) > 1
    for test in tests:
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_evaluate_measures_the_erasure_and_its_controls(made, classifier, tmp_path):  # noqa: F811
    pipe, erasure = made
    before = snapshot(pipe.unet)
    report = evaluate(pipe, small_task(("fox",)), erasure, judges=[classifier], folder=tmp_path)
    assert {row.method for row in report.rows} == {"base", "blank", "drift", "trace"}
    bounded = [row for row in report.rows if not math.isnan(row.low)]
    assert bounded and all(row.low <= row.value <= row.high for row in bounded)
    assert_same(before, snapshot(pipe.unet))
    drawn = sorted(tmp_path.rglob("*.png"))
    again = evaluate(pipe, small_task(("fox",)), erasure, judges=[classifier], folder=tmp_path)
    # NaN differs from itself: rows are compared as text.
    assert repr(again.rows) == repr(report.rows)
    assert sorted(tmp_path.rglob("*.png")) == drawn


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"task": "no-such-task"}, "no-such-task"),
        ({"concepts": ["zebra"]}, "zebra"),
        ({"strengths": [3.0]}, r"strength 3\.0 is out of range"),
        ({"strengths": [math.nan]}, "strength nan is out of range"),
        ({"batch": 0}, "batch is 0; allowed: 1 or more"),
        ({"per_group": 0}, "per_group is 0; allowed: 1 or more"),
        ({"judges": None}, "nobody to judge|no judge"),
    ],
)
def test_evaluate_refuses(settings, message, made, classifier, tmp_path):  # noqa: F811
    pipe, erasure = made
    chosen = {"task": small_task(("fox",)), "judges": [classifier], **settings}
    with pytest.raises(InputError, match=message):
        evaluate(pipe, chosen.pop("task"), erasure, folder=tmp_path / "out", **chosen)
    assert not (tmp_path / "out").exists()


def test_attack_counts_cases_within_its_budget(made, classifier, tmp_path):  # noqa: F811
    pipe, erasure = made
    before = snapshot(pipe.unet)
    budget = Budget(images=2, gradients=2, encodings=10)
    rows = attack(
        *(pipe, erasure, small_task(("fox",)), ["typo"]),
        judge=classifier,
        cases=2,
        budget=budget,
        controls=False,
        folder=tmp_path,
    )
    assert {row.concept for row in rows} == {"mean", "worst"}
    assert {row.method for row in rows} == {"erased"}
    assert (tmp_path / "attacks.json").is_file() and (tmp_path / "attacks.md").is_file()
    assert_same(before, snapshot(pipe.unet))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"attacks": ["no-such-attack"]}, "no-such-attack"),
        ({"task": "no-such-task"}, "no-such-task"),
        ({"concepts": ["zebra"]}, "zebra"),
        ({"cases": 0}, "cases is 0; allowed: 1 or more"),
        ({"batch": 0}, "batch is 0; allowed: 1 or more"),
        ({"judge": None}, "nobody to judge|no judge"),
    ],
)
def test_attack_refuses(settings, message, made, classifier, tmp_path):  # noqa: F811
    pipe, erasure = made
    chosen = {"task": small_task(("fox",)), "attacks": ["typo"], "judge": classifier, **settings}
    with pytest.raises(InputError, match=message):
        attack(pipe, erasure, chosen.pop("task"), folder=tmp_path / "out", **chosen)
    assert not (tmp_path / "out").exists()


def test_certify_bounds_the_erasure_and_leaves_the_pipeline(made):
    pipe, erasure = made
    before = snapshot(pipe.unet)
    found = certify(pipe, erasure, paths=2, steps=2)
    assert set(found.exact.prompts) and found.exact.recovery_margin >= 0
    assert found.concept is not None and found.concept.total.low <= found.concept.total.high
    assert 0 <= found.concept.detector <= 1
    assert_same(before, snapshot(pipe.unet))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"paths": 1}, "paths is 1; allowed"),
        ({"steps": 0}, "steps is 0; allowed: 1 or more"),
        ({"guidance_scale": math.nan}, "guidance_scale is nan; allowed: 0 or more"),
        ({"noise_level": 7}, "noise_level is 7; allowed: 0 to 1"),
        ({"gate": -0.1}, r"gate is -0\.1; allowed: 0 to 1"),
        ({"concepts": []}, "Pass concepts="),
        ({"concepts": [Concept("fox")]}, "Pass concepts="),
    ],
)
def test_certify_refuses(settings, message, made):
    pipe, erasure = made
    before = snapshot(pipe.unet)
    with pytest.raises(InputError, match=message):
        certify(pipe, erasure, **settings)
    assert_same(before, snapshot(pipe.unet))


def test_certify_refuses_another_family(made):
    with pytest.raises(InputError, match="this erasure was made for stable-diffusion"):
        certify(tiny_sdxl(), made[1], paths=0)


def test_forecast_orders_names_and_leaves_the_pipeline():
    pipe = tiny_stable_diffusion()
    before = snapshot(pipe.unet)
    found = forecast(pipe, Concept("fox", surrogate="dog"), ["horse", "cat"], captions=CAPTIONS)
    assert {row.name for row in found.names} == {"horse", "cat"}
    changes = [row.network for row in found.names]
    assert changes == sorted(changes, reverse=True) and min(changes) >= 0
    assert found.planned.surrogate == "dog"
    assert torch.tensor([cost for _, cost in found.curve]).ge(0).all()
    assert_same(before, snapshot(pipe.unet))


@pytest.mark.parametrize(
    "names, message", [([], "names"), (["fox"], "names"), (["horse", ""], "names")]
)
def test_forecast_refuses(names, message):
    pipe = tiny_stable_diffusion()
    with pytest.raises(InputError, match=message):
        forecast(pipe, Concept("fox", surrogate="dog"), names, captions=CAPTIONS)
