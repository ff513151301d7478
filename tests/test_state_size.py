"""Sizes of states: predictions are compared at no more than 512 pixels, all else at the model's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trace_erasure import Concept, forecast
from trace_erasure.concepts.prediction_similarity import prediction_sketches
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import collect_rollouts, predict_at
from trace_erasure.pipeline.state_size import MEASURED, at_once, measuring_size
from trace_erasure.testing import CAPTIONS, tiny_flux, tiny_sdxl
from trace_erasure.testing.families import BUILDERS, tiny


def large(pipe: Any, pixels: int) -> Any:
    """``pipe``, whose own pictures have that side."""
    side = pixels // pipe.vae_scale_factor
    if hasattr(pipe, "default_sample_size"):
        pipe.default_sample_size = side
    if hasattr(pipe, "unet"):
        pipe.unet.register_to_config(sample_size=side)
    return pipe


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of all batches that go through the network."""
    seen: list[tuple[int, ...]] = []

    def watched(self: Denoiser, states: torch.Tensor, *others: Any, **named: Any) -> torch.Tensor:
        seen.append(tuple(states.shape))
        return torch.zeros_like(states)

    monkeypatch.setattr(Denoiser, "predict", watched)
    return seen


@pytest.mark.parametrize("make", [tiny_sdxl, tiny_flux])
def test_comparisons_of_a_large_model_are_made_at_512_pixels(make, sizes, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pipe = large(make(), 1024)
    denoiser = Denoiser(pipe)
    assert measuring_size(denoiser) == (MEASURED, MEASURED)
    prediction_sketches(denoiser, ["a fox", "a dog"])
    forecast(pipe, Concept("fox", surrogate="dog"), ["cat"], captions=CAPTIONS)
    side = MEASURED // pipe.vae_scale_factor
    assert sizes and {shape[-2:] for shape in sizes} == {(side, side)}
    assert denoiser.initial_states([0]).shape[-1] == 2 * side  # sampling keeps its own


@pytest.mark.parametrize("name", BUILDERS)
def test_small_models_are_measured_at_their_own_size(name):
    assert measuring_size(Denoiser(tiny(name))) is None


@pytest.mark.parametrize(
    ("own", "expected"), [((512, 512), None), ((768, 768), (512, 512)), ((480, 832), (288, 512))]
)
def test_the_longer_side_is_512_pixels_and_the_shape_is_kept(own, expected):
    def shape(pipe: Any, height: int | None, width: int | None) -> tuple[int, ...]:
        return (16, (height or own[0]) // 8, (width or own[1]) // 8)

    denoiser: Any = SimpleNamespace(pipe=None, family=SimpleNamespace(state_shape=shape))
    assert measuring_size(denoiser) == expected


def test_large_states_go_in_smaller_batches(sizes):
    denoiser = Denoiser(large(tiny_sdxl(), 1024))
    own = denoiser.family.state_shape(denoiser.pipe, None, None)
    most = at_once(own, 64)
    assert most < 64 and most * own[-1] * own[-2] <= 64 * 64 * 64
    empty = denoiser.unconditional()
    found = collect_rollouts(denoiser, empty, range(most + 1), steps=1, guidance_scale=1.0)
    predict_at(denoiser, found, empty)
    assert [shape[0] for shape in sizes] == [most, 1, most, 1]
