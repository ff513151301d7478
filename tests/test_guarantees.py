"""Certificates on tiny random pipelines: what must hold for any weights."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.guarantees.certify import certified, certify
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.sampler import fresh, sample, schedule, to_pictures, to_states
from trace_erasure.testing import (
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)
from trace_erasure.trace.erase import erase

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
CONCEPT = Concept("fox", surrogate="dog", templates=("a photo of a {x}",))
QUICK: dict[str, Any] = dict(steps=3, paths=3)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def exact_erasure(pipe, **changes) -> Erasure:
    settings = ClosedFormConfig(directions=None, ridge=1e-2, keep=4)
    options: dict[str, Any] = dict(closed_form=settings, finetune=None, captions=CAPTIONS)
    return erase(pipe, CONCEPT, **{**options, **changes})


def double(pipe):
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.double()
    return pipe


WIDE: dict[str, Any] = dict(width=256, positions=40)


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: tiny_stable_diffusion(**WIDE),
        lambda: tiny_stable_diffusion("v_prediction", **WIDE),
        lambda: tiny_flux(**WIDE),
    ],
    ids=["sd", "sd-v", "flux"],
)
def test_the_divergence_is_zero_where_stage_1_is_exact(make):
    pipe = double(make())
    erasure = exact_erasure(pipe)
    found = certify(pipe, erasure, retain=["a photo of a horse"], **QUICK)
    assert found.exact.holds
    assert max(found.exact.prompts.values()) < 1e-4
    assert found.concept is not None and found.concept.total.high < 1e-6
    assert not found.concept.vacuous and found.concept.detector < 1e-3
    # Half an erasure is not exact, and is not called so.
    with erasure.attach(pipe, 0.5):
        half = certify(pipe, erasure, retain=[], **QUICK)
    assert half.concept is not None and half.retained is None
    assert half.concept.total.value > 1e3 * found.concept.total.value


def test_an_open_pooled_path_is_not_called_exact():
    pipe = double(tiny_flux(**WIDE))
    settings = ClosedFormConfig(directions=None, ridge=1e-2, keep=4, pooled=False)
    found = certify(pipe, exact_erasure(pipe, closed_form=settings), **QUICK, retain=[])
    assert found.exact.pooled_path == "open"
    assert not found.exact.holds
    assert {row.role for row in found.exact.positions if row.residual > 0.9} == {"pooled"}
    assert found.concept is not None and found.concept.total.value > 1e-6


def test_a_finetune_of_deeper_layers_is_not_called_exact():
    pipe = tiny_flux(**WIDE)
    tuned = FinetuneConfig(
        steps=1, batch=1, rank=1, trajectories=1, retain_trajectories=1, sampler_steps=2,
        noise_level=0.5,
    )  # fmt: skip
    found = certify(pipe, exact_erasure(pipe, finetune=tuned), paths=0)
    assert found.exact.deep and not found.exact.holds
    assert found.concept is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "make", [tiny_stable_diffusion, tiny_sdxl, tiny_sd3, tiny_flux, tiny_flux2_klein]
)
def test_every_family_can_be_certified_and_is_left_as_it_was(make, tmp_path):
    pipe = make()
    network = Denoiser(pipe).network
    erasure = erase(pipe, CONCEPT, finetune=None, captions=CAPTIONS)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = certify(pipe, erasure, retain=["a photo of a horse"], **QUICK)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    roles = {row.role for row in found.exact.positions}
    assert {"concept", "eos", "padding"} <= roles
    pooled = len(Denoiser(pipe).family.streams) > 1
    assert ("pooled" in roles) == pooled
    assert found.concept is not None and found.retained is not None
    assert found.concept.total.low <= found.concept.total.value <= found.concept.total.high
    total = found.concept.total.value
    parts = found.concept.early.value + found.concept.late.value
    assert parts == pytest.approx(total)
    assert sum(found.concept.by_step) == pytest.approx(total)
    # Into the file and out again, the change untouched.
    kept = certified(erasure, found)
    loaded = Erasure.load(kept.save(tmp_path / "fox"))
    assert loaded.name == erasure.name
    assert loaded.record.guarantee == json.loads(json.dumps(found.to_dict()))


@pytest.mark.slow
def test_gated_the_early_part_is_zero_and_the_latents_are_the_original_s():
    pipe = tiny_stable_diffusion()
    erasure = erase(pipe, CONCEPT, finetune=None, captions=CAPTIONS)
    level = 0.6
    plain = certify(pipe, erasure, noise_level=level, retain=["a horse"], steps=6, paths=3)
    gated = certify(pipe, erasure, gate=level, retain=["a horse"], steps=6, paths=3)
    assert plain.retained is not None and gated.retained is not None
    assert plain.retained.early.value > 0 == gated.retained.early.value
    assert gated.retained.state == 0 < gated.retained.late.value

    def latents(**options) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []
        gate = options.pop("gate", None)

        def record(pipe: Any, step: int, timestep: int, kwargs: dict[str, Any]) -> dict[str, Any]:
            seen.append(kwargs["latents"].clone())
            return gate(pipe, step, timestep, kwargs) if gate else kwargs

        callback: Any = record  # the pipeline annotates another signature than it calls
        pipe("a photo of a fox", num_inference_steps=8, callback_on_step_end=callback,
             generator=torch.Generator().manual_seed(0), output_type="latent")  # fmt: skip
        return seen

    original = latents()
    with erasure.attach(pipe):
        found = latents(gate=erasure.gate(pipe, level))
        ungated = latents()
    levels = Denoiser(pipe).noise_levels(Denoiser(pipe).timesteps(8)).tolist()
    first = next(i for i, value in enumerate(levels) if value <= level)
    assert 0 < first < len(levels) - 1
    # The state at τ is what the steps above it made: same seed, same bits.
    assert all(torch.equal(a, b) for a, b in zip(original[:first], found[:first], strict=True))
    assert not torch.equal(original[-1], found[-1])
    assert not torch.equal(original[0], ungated[0])


def test_two_certificates_of_one_erasure_agree():
    pipe = tiny_stable_diffusion()
    erasure = erase(pipe, CONCEPT, finetune=None, captions=CAPTIONS)
    assert certify(pipe, erasure, **QUICK) == certify(pipe, erasure, **QUICK)


def test_bad_input_says_what_to_do():
    pipe = tiny_stable_diffusion()
    erasure = erase(pipe, CONCEPT, finetune=None, captions=CAPTIONS)
    with pytest.raises(InputError, match="2 or more"):
        certify(pipe, erasure, paths=1)
    with pytest.raises(InputError, match="Pass concepts"):
        certify(pipe, replace(erasure, record={}))


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
def test_our_sampler_is_the_deterministic_one(make):
    pipe = make()
    denoiser = Denoiser(pipe)
    own, empty = denoiser.encode(["a fox"]), denoiser.unconditional()
    expected = denoiser.rollout(own, empty, [4], steps=5, guidance=3.0)
    plan = schedule(denoiser, 5)
    states = denoiser.initial_states([4])
    found = sample(denoiser, own, empty, states, plan, 3.0)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    picture = to_pictures(denoiser, found)[0]
    assert to_states(denoiser, [picture]).shape == found.shape
    # Begun half-way, it ends in the same place.
    late = plan.below(0.6)
    assert 0 < len(late) < len(plan)
    seen = [states]
    for timestep, step in zip(plan.timesteps, plan.steps, strict=True):
        one = type(plan)(timestep[None], (0.0,), (step,))
        seen.append(sample(denoiser, own, empty, seen[-1], one, 3.0))
    begun = seen[len(plan) - len(late)]
    torch.testing.assert_close(sample(denoiser, own, empty, begun, late, 3.0), found)


def test_stochastic_paths_do_not_depend_on_their_batch():
    denoiser = Denoiser(tiny_stable_diffusion())
    own, empty = denoiser.encode(["a fox"]), denoiser.unconditional()
    plan = schedule(denoiser, 3, eta=1.0, end=0.03)

    def draw(seeds: list[int]) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        states = fresh(denoiser.initial_states(seeds), generators)
        return sample(denoiser, own, empty, states, plan, 2.0, generators)

    torch.testing.assert_close(draw([1, 2])[1:], draw([2]), atol=1e-5, rtol=1e-5)
