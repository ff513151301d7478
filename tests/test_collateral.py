"""Forecasts on tiny random pipelines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig
from trace_erasure.guarantees.forecast import forecast, name_forecasts, network_change, text_change
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace.erase import erase

NAMES = ("dog", "tree", "house", "boat", "horse")
CAPTIONS = [f"a picture of a {name}" for name in (*NAMES, "fox", "red car")]
CONCEPT = Concept("fox", surrogate="dog", templates=("a photo of a {x}",))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_a_forecast_is_sorted_and_leaves_the_pipeline_as_it_was(make):
    pipe = make()
    erasure = erase(pipe, CONCEPT, finetune=None, captions=CAPTIONS)
    network = Denoiser(pipe).network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    rows = name_forecasts(pipe, erasure.delta, CONCEPT, [*NAMES, "fox"])
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert {row.name for row in rows} == set(NAMES)  # the concept is no collateral
    assert [row.network for row in rows] == sorted((r.network for r in rows), reverse=True)
    assert all(row.network > 0 and row.text > 0 for row in rows)


def test_what_is_held_exactly_is_forecast_to_stay():
    pipe = tiny_stable_diffusion(width=256, positions=40)
    settings = ClosedFormConfig(directions=None, ridge=1e-2, keep=200)
    options: dict[str, Any] = dict(closed_form=settings, finetune=None, captions=CAPTIONS)
    kept = "a picture of a horse"
    concept = Concept("fox", surrogate="dog", templates=CONCEPT.templates, retain=("horse",))
    # Sisters of a lexicon are more prompts than can be held exactly here.
    delta = erase(pipe, concept, search="network", **options).delta
    assert float(text_change(Denoiser(pipe), delta, [kept])) < 1e-4
    held, free = network_change(pipe, delta, [kept, "a photo of a fox"]).tolist()
    assert held < 1e-3 * free


def test_a_forecast_warns_and_proposes_what_lowers_the_collateral():
    found = forecast(tiny_stable_diffusion(), CONCEPT, NAMES, captions=CAPTIONS)
    assert {row.name for row in found.names} == set(NAMES)
    assert all(one.mean < found.planned.mean for one in found.better)
    assert [one.mean for one in found.better] == sorted(one.mean for one in found.better)
    hurt = [row.name for row in found.names if row.affected]
    assert any("will change" in line for line in found.warnings) == bool(hurt)
    costs = [cost for _, cost in found.curve]
    assert costs == sorted(costs)
