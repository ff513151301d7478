"""Perfect steering, evidence and state prompts: what holds for any weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trace_erasure.concepts.concept import Concept, ResolvedConcept
from trace_erasure.concepts.steered_prompts import SteeredPrompts, steered_prompts
from trace_erasure.config import EraseConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.math.objectives import OBJECTIVES, TARGETS, Outputs, in_proportion
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.rollouts import collect_rollouts, guidance_profile
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace import finetune as stage2
from trace_erasure.trace.evidence import Scale, evidence
from trace_erasure.trace.finetune_data import prepare_finetune_data
from trace_erasure.trace.oracle import Steering, steered_rollout
from trace_erasure.trace.request import ResolvedRequest, retained_prompts
from trace_erasure.trace.windows import Oracle, presence

MAKES = [tiny_stable_diffusion, tiny_flux]
SEEDS = [3, 4]
SAMPLER: dict[str, Any] = dict(steps=4, guidance=3.5)
SHORT = FinetuneConfig(
    steps=2, batch=2, rank=2, trajectories=3, retain_trajectories=2, sampler_steps=4
)
OWN = SteeredPrompts.own(["a fox"], ["a cat"])
IMPLIED = SteeredPrompts(("a house",), ("a house with a fox",), ("a house with a cat",))


def random_outputs(n: int = 3) -> tuple[Tensor, Outputs]:
    """A student's output and the teacher's three."""
    values = torch.randn(4, n, 2, 5, generator=torch.Generator().manual_seed(0))
    return values[0], Outputs(*values[1:])


@pytest.mark.parametrize("name", TARGETS)
def test_an_objective_is_zero_at_its_target_and_nowhere_near_the_concept(name):
    _, outputs = random_outputs()
    target = TARGETS[name](*outputs, 0.5)
    assert OBJECTIVES[name](target, *outputs, 0.5).max() < 1e-6
    assert OBJECTIVES[name](outputs.e_p, *outputs, 0.5).min() > 1e-3


@pytest.mark.parametrize("name", TARGETS)
def test_a_step_from_the_reference_is_in_proportion_to_the_share(name):
    _, outputs = random_outputs()
    share = torch.tensor([0.0, 0.5, 1.0])
    placed = in_proportion(outputs, share)
    step = TARGETS[name](*placed, 0.7) - outputs.e_0
    whole = TARGETS[name](*outputs, 0.7) - outputs.e_0
    torch.testing.assert_close(step, share[:, None, None] * whole)
    for part in placed:
        assert torch.equal(part[0], outputs.e_0[0])


def test_the_scene_without_the_concept_is_a_step_from_the_scene_away_from_the_scene_with_it():
    """Exact for an ideal model: here pictures are numbers, with the concept near 2, without near
    -1, each a Gaussian of width .5, and outputs are the clean number that is expected."""
    signal, noise, width, share = 0.6, 0.8, 0.5, 0.7
    states = torch.linspace(-3, 3, 25, dtype=torch.float64)[:, None]

    def expected(mean: float) -> tuple[Tensor, Tensor]:
        """The posterior mean of the clean number, and the state's density."""
        variance = signal**2 * width**2 + noise**2
        gain = signal * width**2 / variance
        density = torch.exp(-((states - signal * mean) ** 2) / (2 * variance))
        return mean + gain * (states - signal * mean), density

    (with_it, p), (without, q) = expected(2.0), expected(-1.0)
    posterior = share * p / (share * p + (1 - share) * q)
    scene = posterior * with_it + (1 - posterior) * without
    for i, pi in enumerate(posterior[:, 0].tolist()):
        if pi > 0.99:  # the quotient amplifies rounding
            continue
        row = slice(i, i + 1)
        target = TARGETS["reverse_cfg"](with_it[row], scene[row], scene[row], pi / (1 - pi))
        torch.testing.assert_close(target, without[row])


def steering(denoiser: Denoiser, prompts: SteeredPrompts, objective: str) -> Steering:
    rows = (prompts.state, prompts.concept, prompts.surrogate)
    state, concept, surrogate = (denoiser.encode(list(row) * len(SEEDS)) for row in rows)
    empty = denoiser.unconditional()
    return Steering(state, concept, surrogate, empty, objective, 1.0, prompts.implied)


def drawn(denoiser: Denoiser, prompt: str) -> Tensor:
    return denoiser.rollout(denoiser.encode([prompt]), denoiser.unconditional(), SEEDS, **SAMPLER)


@pytest.mark.parametrize("make", MAKES)
def test_perfect_steering_nowhere_is_the_prompt_and_everywhere_the_surrogate(make):
    denoiser = Denoiser(make())
    asked = steering(denoiser, OWN, "anchor")
    for level, prompt in ((0.0, "a fox"), (1.0, "a cat")):
        got = steered_rollout(denoiser, asked, SEEDS, torch.full((2,), level), **SAMPLER)
        torch.testing.assert_close(got, drawn(denoiser, prompt), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("make", MAKES)
def test_every_picture_has_a_window_of_its_own(make):
    denoiser = Denoiser(make())
    asked = steering(denoiser, IMPLIED, "reverse_cfg")
    got = steered_rollout(denoiser, asked, SEEDS, torch.tensor([0.0, 0.8]), **SAMPLER)
    plain = drawn(denoiser, "a house")
    torch.testing.assert_close(got[0], plain[0], atol=1e-4, rtol=1e-4)
    assert (got[1] - plain[1]).abs().max() > 1e-3


def test_evidence_is_for_one_prompt_what_it_is_against_the_other():
    denoiser = Denoiser(tiny_stable_diffusion())
    clean = drawn(denoiser, "a fox")
    fox, cat = (denoiser.encode([prompt] * 2) for prompt in ("a fox", "a cat"))
    options: dict[str, Any] = dict(seed=0, guidance=3.5)
    found = evidence(denoiser, clean, fox, cat, **options)
    assert found.abs().min() > 0
    torch.testing.assert_close(evidence(denoiser, clean, cat, fox, **options), -found)


def test_shares_lie_between_surely_absent_and_surely_shown():
    scale = Scale.of(torch.tensor([-3.0, -2.0, -1.0]), torch.tensor([1.0, 2.0, 9.0]))
    assert scale.share(torch.tensor([-5.0, 0.0, 5.0])).tolist() == [0.0, 0.5, 1.0]
    assert scale.tells and not Scale(1.0, 1.0).tells


def test_the_smallest_window_is_the_first_that_leaves_nothing(monkeypatch):
    oracle = Oracle(Denoiser(tiny_stable_diffusion()), OWN, SHORT, seed=0, count=2)
    oracle.scale = Scale(absent=0.0, shown=1.0)
    levels: list[float] = []

    def left_above(least: float) -> Callable[..., Tensor]:
        return lambda pictures: torch.full((2,), 1.0 if levels[-1] < least else 0.0)

    steered = oracle._steered
    monkeypatch.setattr(oracle, "_steered", lambda at: (levels.append(at), steered(at))[1])
    monkeypatch.setattr(oracle, "_evidence", left_above(0.7))
    found = oracle.smallest()
    assert found is not None and found.noise_level == levels[-1] >= 0.7
    assert levels == sorted(levels) and max([0.0, *levels[:-1]]) < 0.7
    monkeypatch.setattr(oracle, "_evidence", left_above(2.0))
    assert oracle.smallest() is None


def test_the_profile_is_one_for_noise_and_for_velocity():
    """The same pictures in another output give the same profile."""
    noise, velocity = (Denoiser(tiny_stable_diffusion(p)) for p in ("epsilon", "v_prediction"))
    said = noise.encode(["a fox"])
    rollouts = collect_rollouts(noise, said, [0, 1], steps=5, guidance_scale=2.0)
    assert rollouts.conditional is not None and rollouts.unconditional is not None
    pair = (rollouts.conditional, rollouts.unconditional)
    points = [d.noise_point(rollouts.timesteps).expand(pair[0]) for d in (noise, velocity)]
    as_velocity = [points[1].join(*points[0].split(rollouts.states, m))[1] for m in pair]
    one = guidance_profile(noise, rollouts, *pair)
    other = guidance_profile(velocity, rollouts, *as_velocity)
    torch.testing.assert_close(torch.tensor(one.energy), torch.tensor(other.energy))
    raw = (pair[0] - pair[1]).square().flatten(1).mean(1).unflatten(0, (5, 2)).mean(1)
    assert not torch.allclose(raw / raw.sum(), torch.tensor(one.energy, dtype=torch.float32))


# State prompts ----------------------------------------------------------------------------


def test_every_state_prompt_is_paired_with_every_concept():
    concepts = [
        ResolvedConcept("knife", "apple"),
        ResolvedConcept("neon", "ink", kind="style"),
    ]
    found = steered_prompts(concepts, ["a chef", "a kitchen"])
    assert found.state == ("a chef", "a chef", "a kitchen", "a kitchen")
    assert found.scenes == ("a chef", "a kitchen")
    assert found.concept[:2] == ("a chef with a knife", "a chef, neon style")
    assert found.surrogate[:2] == ("a chef with an apple", "a chef, ink style")
    assert found.implied and not steered_prompts(concepts).implied
    with pytest.raises(InputError, match=r"'a chef with a knife' names 'knife'"):
        steered_prompts(concepts, ["a chef with a knife"])


@pytest.mark.parametrize("make", MAKES)
def test_states_without_the_concept_are_held_and_the_others_steered_in_proportion(
    make, monkeypatch
):
    shares = torch.tensor([0.0, 0.5, 1.0])
    found = (shares, torch.zeros(3, dtype=torch.long))
    monkeypatch.setattr("trace_erasure.trace.finetune_data.presence", lambda *_: found)
    monkeypatch.setattr("trace_erasure.trace.finetune_data.PER_SCENE", 3)
    denoiser = Denoiser(make())
    settings = replace(SHORT, state_prompts=("a house",), window="all")
    data = prepare_finetune_data(denoiser, IMPLIED, ["a dog", "a tree"], settings, seed=0)
    seeds = data.concept_rollouts.seeds
    assert set(seeds[data.early].tolist()) == {seeds.min().item()}
    assert len(data.late) == 2 * len(data.early)
    for place, share in enumerate(shares.tolist()):
        index = (seeds == place).nonzero()[:, 0]
        moved = data.outputs(index)
        torch.testing.assert_close(moved.e_0, data.e_x[index])
        step = share * (data.e_p - data.e_x)[index]
        torch.testing.assert_close(moved.e_p, data.e_x[index] + step)


def test_each_trajectory_is_steered_from_the_concept_that_it_shows(monkeypatch):
    """Two scenes, two concepts: evidence for the second one in the first scene alone."""
    rows = ("a house", "a house", "a tree", "a tree")
    concept = tuple(
        f"{row} with a {name}" for row, name in zip(rows, ["fox", "car"] * 2, strict=True)
    )
    prompts = SteeredPrompts(rows, concept, rows)
    denoiser = Denoiser(tiny_stable_diffusion())
    oracle = Oracle(denoiser, prompts, replace(SHORT, state_prompts=prompts.scenes), 0, count=4)
    assert oracle.prompts == rows
    oracle.scale = Scale(0.0, 1.0)
    calls: list[int] = []

    def told(*_: object, **__: object) -> Tensor:
        calls.append(0)
        return torch.tensor([[0.2, 0.9], [0.8, 0.1]])[len(calls) - 1]

    monkeypatch.setattr("trace_erasure.trace.windows.evidence", told)
    clean = drawn(denoiser, "a house")
    shares, row = presence(oracle, clean, torch.tensor([0, 1]), prompts)
    assert shares.tolist() == pytest.approx([0.8, 0.9])
    assert [concept[i] for i in row] == ["a house with a car", "a tree with a fox"]


def test_networks_with_distilled_guidance_are_told_the_sampler_s_scale(monkeypatch):
    denoiser = Denoiser(tiny_flux())
    told: list[float] = []
    predict = denoiser.predict

    def note(states, timesteps, conditioning, guidance=1.0):
        told.append(guidance)
        return predict(states, timesteps, conditioning, guidance)

    monkeypatch.setattr(denoiser, "predict", note)
    settings = replace(SHORT, guidance_scale=2.5, noise_level=0.7)
    data = prepare_finetune_data(denoiser, OWN, ["a dog"], settings, seed=0)
    stage2.finetune_adapter(denoiser, data, settings, seed=0)
    assert set(told) == {2.5}


def test_the_learning_rate_follows_the_length_of_rows_and_the_number_of_layers():
    layers = {str(i): torch.nn.Linear(4, 3) for i in range(4)}
    rate = stage2.learning_rate_for(layers)
    half = dict(list(layers.items())[:2])
    for layer in layers.values():
        torch.nn.init.constant_(layer.weight, 0.5)  # rows of length 1
    assert stage2.learning_rate_for(layers) == pytest.approx(stage2.RELATIVE_RATE / 4)
    assert stage2.learning_rate_for(half) == pytest.approx(stage2.RELATIVE_RATE / 2)
    assert rate != stage2.learning_rate_for(layers)


def test_scenes_that_are_steered_are_not_retained():
    captions = ("a chef on a blue background", "two chefs", "a house", "a tree, ink style")
    settings = FinetuneConfig(state_prompts=("a chef",))
    planned = ResolvedRequest(
        spec=EraseConfig(concepts=(Concept("knife"),), finetune=settings),
        concepts=(ResolvedConcept("knife", "apple"),),
        retain=("a picture of a chef", "a picture of a pirate"),
        captions=captions,
    )
    found = retained_prompts(planned, 6)
    assert set(found) == {"a picture of a pirate", *captions[1:]}
    own = replace(planned, spec=replace(planned.spec, finetune=FinetuneConfig()))
    assert set(retained_prompts(own, 6)) == {*planned.retain, *captions}
    with pytest.raises(InputError, match="no caption"):
        retained_prompts(replace(planned, captions=captions[:1]), 6)
