"""The algebra of noisy states, by itself and against diffusers' own samplers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.math.parameterization import PREDICTIONS, NoisePoint, guide

predictions = st.sampled_from(PREDICTIONS)
levels = st.floats(0.02, 0.98)
seeds = st.integers(0, 2**32)


def draw(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    return first, second


def path_at(prediction: str, level: float) -> NoisePoint:
    """A point of the family's own schedule: straight for flow, on the circle for the others."""
    if prediction == "flow":
        alpha, sigma = 1 - level, level
    else:
        alpha, sigma = math.cos(level * math.pi / 2), math.sin(level * math.pi / 2)
    return NoisePoint.of(prediction, *torch.tensor([alpha, sigma], dtype=torch.float64))


@settings(deadline=None, max_examples=60)
@given(predictions, levels, seeds)
def test_split_inverts_join(prediction, level, seed):
    path, (x0, noise) = path_at(prediction, level), draw(seed)
    found = path.split(*path.join(x0, noise))
    torch.testing.assert_close(found, (x0, noise))


@settings(deadline=None, max_examples=60)
@given(predictions, levels, seeds)
def test_join_inverts_split(prediction, level, seed):
    path, (x, m) = path_at(prediction, level), draw(seed)
    torch.testing.assert_close(path.join(*path.split(x, m)), (x, m))


@given(predictions, st.lists(levels, min_size=2, max_size=4), seeds)
@settings(deadline=None, max_examples=30)
def test_a_batch_is_its_members(prediction, noise_levels, seed):
    members = [path_at(prediction, level) for level in noise_levels]
    names = ("alpha", "sigma", "a", "b")
    batch = NoisePoint(*(torch.stack([getattr(path, name) for path in members]) for name in names))
    x, m = (tensor.expand(len(members), 3, 4, 4) for tensor in draw(seed))
    x0, noise = batch.expand(x).split(x, m)
    for i, path in enumerate(members):
        torch.testing.assert_close((x0[i], noise[i]), path.split(x[i], m[i]))


@given(predictions)
def test_noise_level_runs_from_clean_to_noise(prediction):
    levels = [float(path_at(prediction, level).noise_level) for level in (0, 0.25, 0.5, 0.75, 1)]
    assert levels == sorted(levels)
    assert levels[0] == 0
    assert levels[2] == pytest.approx(0.5)
    assert levels[-1] == pytest.approx(1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("timestep", [5, 500, 980])
def test_agrees_with_the_ddim_sampler(prediction, timestep):
    scheduler = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(50)
    signal = scheduler.alphas_cumprod[timestep].double()
    path = NoisePoint.of(prediction, signal.sqrt(), (1 - signal).sqrt())
    x, m = draw(timestep)
    stepped: Any = scheduler.step(m, timestep, x)
    torch.testing.assert_close(
        path.split(x, m)[0], stepped.pred_original_sample, rtol=1e-5, atol=1e-6
    )


def test_agrees_with_the_flow_sampler():
    scheduler: Any = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(4)
    timestep = scheduler.timesteps[-1]  # its step ends at the clean sample
    sigma = timestep.double() / scheduler.config.num_train_timesteps
    x, m = draw(0)
    clean = scheduler.step(m, timestep, x).prev_sample
    torch.testing.assert_close(
        NoisePoint.of("flow", 1 - sigma, sigma).split(x, m)[0], clean.double(), rtol=1e-5, atol=1e-5
    )


def test_guidance_meets_both_ends():
    empty, prompt = draw(3)
    torch.testing.assert_close(guide(empty, prompt, 1.0), prompt)
    assert torch.equal(guide(empty, prompt, 0.0), empty)


def test_unknown_prediction_names_the_known():
    with pytest.raises(ValueError, match="epsilon, v_prediction, sample, flow"):
        NoisePoint.of("score", torch.ones(()), torch.ones(()))
