"""The two stages on a tiny random pipeline: the guarantees that hold for any weights."""

import gc
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
)

from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.concepts.steered_prompts import SteeredPrompts
from trace_erasure.config import ClosedFormConfig, FinetuneConfig
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.testing import tiny_stable_diffusion
from trace_erasure.trace import finetune as stage2
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.erase import erase
from trace_erasure.trace.finetune_data import FinetuneData, prepare_finetune_data

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
QUICK = FinetuneConfig(
    steps=4,
    batch=2,
    rank=2,
    trajectories=2,
    retain_trajectories=3,
    sampler_steps=3,
    noise_level=0.6,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def outputs(denoiser: Denoiser, prompt: str, steps: int = 6) -> list[torch.Tensor]:
    """Every state of a guided rollout, and the last."""
    seen: list[torch.Tensor] = []
    last = denoiser.rollout(
        denoiser.encode([prompt]),
        denoiser.encode([EMPTY]),
        [3],
        steps=steps,
        guidance=4.0,
        on_state=lambda states, *_: seen.append(states.clone()),
    )
    return [*seen, last]


@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("surrogate", ["cat", "big red boat"])
def test_exact_redirect_theorem(prediction, surrogate):
    """Edited model on the concept prompt = base model on the surrogate prompt, guided."""
    pipe = tiny_stable_diffusion(prediction, width=256, positions=40).to(torch.float64)
    denoiser = Denoiser(pipe)
    templates = ("a picture of a {x}",)
    concept = ResolvedConcept("small fox", surrogate=surrogate, templates=templates)
    with_surrogate = fill_template(templates[0], surrogate)
    exact = ClosedFormConfig(directions=None, ridge=1e-2)
    result = closed_form_edit(denoiser, [concept], [with_surrogate], exact, CAPTIONS)
    wanted = outputs(denoiser, with_surrogate)
    before = outputs(denoiser, "a picture of a small fox")
    adapters.attach(pipe, result.delta, "edit")
    redirected = outputs(denoiser, "a picture of a small fox")
    kept = outputs(denoiser, with_surrogate)
    for got, same, goal in zip(redirected, kept, wanted, strict=True):
        torch.testing.assert_close(got, goal, atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(same, goal, atol=1e-8, rtol=1e-8)
    assert (before[-1] - wanted[-1]).abs().max() > 1e-3  # there was something to redirect
    assert result.certificate.residual_listed < 1e-6
    assert result.certificate.empty_prompt < 1e-6


def test_exactness_beyond_the_embedding_s_capacity_is_refused():
    denoiser = Denoiser(tiny_stable_diffusion())
    with pytest.raises(InputError, match=r"all 32 dimensions.*directions"):
        closed_form_edit(
            denoiser,
            [ResolvedConcept("fox", surrogate="cat")],
            [],
            ClosedFormConfig(directions=None),
            CAPTIONS,
        )


def test_strength_scales_the_closed_form_exactly():
    pipe = tiny_stable_diffusion()
    erasure = erase(pipe, "fox", surrogate="cat", finetune=None, captions=CAPTIONS)
    path, change = next(iter(erasure.delta.items()))
    torch.testing.assert_close(change.scale(0.3).dense(), 0.3 * change.dense(), atol=0, rtol=1e-4)
    layer = Denoiser(pipe).maps()[path]
    x = torch.randn(2, layer.in_features, generator=torch.Generator().manual_seed(0))
    base = layer(x)
    with erasure.attach(pipe, strength=0.3):
        half = pipe.unet.get_submodule(path)(x)
    torch.testing.assert_close(
        half - base, 0.3 * x @ change.dense().float().mT, atol=1e-5, rtol=1e-4
    )


def data_for(denoiser: Denoiser, settings: FinetuneConfig = QUICK) -> FinetuneData:
    return prepare_finetune_data(
        denoiser,
        SteeredPrompts.own(["a fox", "a picture of a fox"], ["a cat", "a picture of a cat"]),
        CAPTIONS,
        settings,
        0,
    )


def test_the_frozen_model_is_the_base_and_the_trained_one_is_not():
    pipe = tiny_stable_diffusion()
    denoiser = Denoiser(pipe)
    data = data_for(denoiser)
    rollouts = data.concept_rollouts
    inputs = rollouts.states[:1], rollouts.timesteps[:1], data.concept[[0]]
    base = denoiser.predict(*inputs)
    found = []

    def compare(record):
        trained = denoiser.predict(*inputs)
        with denoiser.without_adapters():
            frozen = denoiser.predict(*inputs)
        found.append((torch.equal(frozen, base), torch.equal(trained, base)))

    stage2.finetune_adapter(denoiser, data, QUICK, seed=0, on_step=compare)
    assert found == [(True, False)] * QUICK.steps


@pytest.mark.parametrize("objective", ["anchor", "reverse_cfg", "margin"])
def test_every_loss_term_reaches_the_adapter(objective):
    denoiser = Denoiser(tiny_stable_diffusion())
    settings = FinetuneConfig(**{**QUICK.__dict__, "objective": objective})
    data = data_for(denoiser, settings)
    generator = torch.Generator().manual_seed(0)
    parameters = adapters.attach_untrained(denoiser, stage2.ADAPTER, 2, generator)
    for parameter in parameters.values():  # an adapter that is zero hides half of the gradients
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(1))
    terms = stage2.loss_terms(denoiser, data, settings, torch.Generator().manual_seed(0))
    assert set(terms) == {"late", "early", "empty", "retain"}
    for name, value in terms.items():
        gradients = torch.autograd.grad(
            value, list(parameters.values()), retain_graph=True, allow_unused=True
        )
        assert any(g is not None and g.abs().max() > 0 for g in gradients), name


def test_windows_split_by_noise_level_for_every_scheduler():
    for scheduler in (DDIMScheduler, EulerDiscreteScheduler, DPMSolverMultistepScheduler):
        pipe = tiny_stable_diffusion()
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
        denoiser = Denoiser(pipe)
        levels = denoiser.noise_levels(denoiser.timesteps(8))
        assert (levels.diff() < 0).all()  # the sampler goes from noisy to clean
        data = data_for(denoiser)
        levels, times = data.concept_rollouts.noise_levels, data.concept_rollouts.timesteps
        late, early = levels[data.late], levels[data.early]
        assert len(late) and len(early) and late.max() <= 0.6 < early.min()
        clean, noisy = times[data.late], times[data.early]
        assert clean.max() < noisy.min()


def test_other_windows_steer_at_other_levels():
    data = data_for(Denoiser(tiny_stable_diffusion()))
    late, early = data.late.tolist(), data.early.tolist()
    data.window = "early"
    assert (data.late.tolist(), data.early.tolist()) == (early, late)
    data.window = "all"
    assert sorted(late + early) == data.late.tolist() and not len(data.early)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path):
    options: dict[str, Any] = dict(surrogate="cat", finetune=QUICK, captions=CAPTIONS)
    files = [
        erase(tiny_stable_diffusion(), "fox", seed=seed, **options).save(tmp_path / name)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()


@pytest.mark.slow
def test_there_is_never_a_second_copy_of_the_network():
    pipe = tiny_stable_diffusion()

    def count(record):
        gc.collect()
        networks: list[Any] = [o for o in gc.get_objects() if isinstance(o, UNet2DConditionModel)]
        assert (
            sum(
                o.config.block_out_channels == pipe.unet.config.block_out_channels for o in networks
            )
            == 1
        )

    erase(pipe, "fox", surrogate="cat", finetune=QUICK, captions=CAPTIONS, on_step=count)


def test_training_stops_at_the_first_non_finite_value_and_names_it():
    pipe = tiny_stable_diffusion()
    denoiser = Denoiser(pipe)
    data = data_for(denoiser)
    data.e_r[:] = float("nan")
    with pytest.raises(NonFiniteError, match=r"'retain' is nan at step 0"):
        stage2.finetune_adapter(denoiser, data, QUICK, seed=0)


def test_bad_settings_say_what_is_allowed():
    with pytest.raises(InputError, match="anchor, reverse_cfg, margin"):
        FinetuneConfig(objective="push")
    with pytest.raises(InputError, match="0 to 1"):
        FinetuneConfig(eta=3)
    with pytest.raises(InputError, match="equality, ridge, null_space"):
        ClosedFormConfig(mode="exact")
    with pytest.raises(InputError, match="both 'fox'"):
        Concept("fox", surrogate="fox")
    with pytest.raises(InputError, match="beyond this model's limit"):
        erase(tiny_stable_diffusion(), "fox " * 100, surrogate="cat", captions=CAPTIONS)
