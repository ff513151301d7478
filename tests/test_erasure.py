"""The artifact on real, tiny pipelines: exact, reversible, portable."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from peft import LoraConfig

from support.artifacts import assert_same, make_erasure, snapshot
from trace_erasure.artifact import lora_file
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.provenance import FORMAT
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline import adapter_layers, adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families import registry
from trace_erasure.pipeline.families.sd import STABLE_DIFFUSION
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.testing import PREDICTIONS, tiny_stable_diffusion

STEPS = 4


@pytest.fixture
def pipe():
    return tiny_stable_diffusion()


def generate(pipe, **options) -> torch.Tensor:
    return pipe(
        ["a photo of a fox", "a red horse"],
        num_inference_steps=STEPS,
        generator=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
        output_type="pt",
        **options,
    ).images


def add_own_adapter(pipe, name: str = "mine") -> None:
    torch.manual_seed(3)
    config = LoraConfig(r=2, lora_alpha=3, target_modules=["to_q", "to_v"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        pipe.unet.add_adapter(config, name)


# Exactness --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("lora_keys", ["kohya", "diffusers"])
@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_three_ways_give_the_same_images(tmp_path, monkeypatch, prediction, lora_keys):
    """Ours, plain diffusers from the file, and an edit of the weights in place."""
    monkeypatch.setattr(
        registry, "FAMILIES", (replace(STABLE_DIFFUSION, lora_keys=lora_keys),)
    )  # a UNet's peft-style keys load in diffusers too, which tests that format
    ours = tiny_stable_diffusion(prediction)
    base = generate(ours)
    erasure = make_erasure(ours)
    path = erasure.save(tmp_path / "fox")
    erasure.attach(ours)
    images = generate(ours)
    assert (images - base).abs().max() > 1e-2

    plain = tiny_stable_diffusion(prediction)
    plain.load_lora_weights(tmp_path, weight_name=path.name)
    torch.testing.assert_close(generate(plain), images, atol=1e-5, rtol=0)

    edited = tiny_stable_diffusion(prediction)
    maps = Denoiser(edited).maps()
    with torch.no_grad():
        for module, change in erasure.delta.items():
            maps[module].weight += change.dense()
    torch.testing.assert_close(generate(edited), images, atol=1e-5, rtol=0)


def test_loaded_is_what_was_saved(tmp_path, pipe):
    erasure = make_erasure(pipe)
    found = Erasure.load(erasure.save(tmp_path / "fox"))
    assert (found.family, found.base, found.record) == (
        erasure.family,
        erasure.base,
        erasure.record,
    )
    assert found.name == erasure.name
    for stage in ("closed_form", "finetuned"):
        expected, got = getattr(erasure, stage), getattr(found, stage)
        assert got.keys() == expected.keys()
        for path, change in expected.items():
            assert torch.equal(got[path].down, change.down)
            assert torch.equal(got[path].up, change.up)


@pytest.mark.parametrize("empty", ["closed_form", "finetuned"])
def test_one_part_is_enough(tmp_path, pipe, empty):
    nothing: dict[str, Any] = {empty: {}}
    erasure = make_erasure(pipe, **nothing)
    found = Erasure.load(erasure.save(tmp_path / "fox"))
    assert getattr(found, empty) == {}
    with erasure.attach(pipe):
        expected = generate(pipe)
    with found.attach(pipe):
        assert torch.equal(generate(pipe), expected)


def test_no_part_is_refused(pipe):
    with pytest.raises(InputError, match="changes nothing"):
        make_erasure(pipe, closed_form={}, finetuned={})


def test_same_bytes_twice(tmp_path, pipe):
    erasure = make_erasure(pipe)
    first = erasure.save(tmp_path / "a")
    second = Erasure.load(first).save(tmp_path / "b.safetensors")
    assert first.name == "a.safetensors"
    assert first.read_bytes() == second.read_bytes()


def test_alpha_is_the_rank_in_files(tmp_path, pipe):
    """Loaders read alpha from different places; half strength would bring the concept back."""
    tensors, metadata = lora_file.read(make_erasure(pipe).save(tmp_path / "fox"))
    ranks = {
        tensor.shape[0] for name, tensor in tensors.items() if name.endswith("lora_down.weight")
    }
    alphas = {tensor.item() for name, tensor in tensors.items() if name.endswith(".alpha")}
    assert ranks == alphas == {5}  # 3 + 2 on one layer; the others are padded
    assert metadata["ss_network_dim"] == metadata["ss_network_alpha"] == "5"


@pytest.mark.parametrize(("step", "remedy"), [(1, "Upgrade"), (-1, "Make the erasure again")])
def test_another_format_is_refused(tmp_path, monkeypatch, pipe, step, remedy):
    other = FORMAT + step
    monkeypatch.setattr("trace_erasure.artifact.storage.FORMAT", other)
    path = make_erasure(pipe).save(tmp_path / "fox")
    monkeypatch.undo()
    with pytest.raises(InputError, match=rf"format {other}.*reads {FORMAT}.*{remedy}"):
        Erasure.load(path)


def test_a_file_of_an_unknown_family_is_refused(tmp_path, monkeypatch, pipe):
    other = replace(STABLE_DIFFUSION, name="other-diffusion")
    monkeypatch.setattr(registry, "FAMILIES", (other,))
    path = make_erasure(pipe, family="other-diffusion").save(tmp_path / "fox")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"other-diffusion.*stable-diffusion"):
        Erasure.load(path)


def test_an_erasure_that_is_not_finite_goes_nowhere(tmp_path, pipe):
    erasure = make_erasure(pipe, size=float("nan"))
    before = snapshot(pipe.unet)
    with pytest.raises(NonFiniteError, match="attn2"):
        erasure.attach(pipe)
    assert_same(before, snapshot(pipe.unet))
    with pytest.raises(NonFiniteError):
        erasure.save(tmp_path / "fox")
    assert not list(tmp_path.iterdir())


# On and off -------------------------------------------------------------------------------


def test_strength_zero_and_detaching_are_the_base(pipe):
    base, before = generate(pipe), snapshot(pipe.unet)
    erasure = make_erasure(pipe)
    erasure.attach(pipe, strength=0)
    assert torch.equal(generate(pipe), base)
    erasure.set_strength(pipe, 1)
    assert not torch.equal(generate(pipe), base)
    erasure.set_strength(pipe, 0)
    assert torch.equal(generate(pipe), base)
    erasure.detach(pipe)
    assert_same(before, snapshot(pipe.unet))
    assert torch.equal(generate(pipe), base)


def test_strength_scales_the_change(pipe):
    erasure = make_erasure(pipe)
    erasure.attach(pipe, 0.3)
    images = generate(pipe)
    erasure.detach(pipe)
    maps = Denoiser(pipe).maps()
    with torch.no_grad():
        for module, change in erasure.delta.items():
            maps[module].weight += 0.3 * change.dense()
    torch.testing.assert_close(generate(pipe), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("strength", [-0.1, 2.01, float("nan"), float("inf")])
def test_strengths_out_of_range(pipe, strength):
    erasure = make_erasure(pipe)
    before = snapshot(pipe.unet)
    with pytest.raises(InputError, match="out of range"):
        erasure.attach(pipe, strength)
    assert_same(before, snapshot(pipe.unet))
    erasure.attach(pipe, 2)
    with pytest.raises(InputError, match="out of range"):
        erasure.set_strength(pipe, strength)


def test_with_detaches(pipe):
    before = snapshot(pipe.unet)
    erasure = make_erasure(pipe)
    with erasure.attach(pipe) as erased:
        assert erased is pipe
        assert adapter_layers.attached(pipe, erasure.name)
    assert_same(before, snapshot(pipe.unet))
    with pytest.raises(RuntimeError, match="mine"), erasure.attach(pipe):
        raise RuntimeError("mine")
    with erasure.attach(pipe):
        erasure.detach(pipe)
    assert_same(before, snapshot(pipe.unet))


def test_attaching_leaves_base_weights_flags_and_randomness(pipe):
    erasure = make_erasure(pipe)
    parameters = dict(pipe.unet.named_parameters())
    flags = {name: p.requires_grad for name, p in parameters.items()}
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with erasure.attach(pipe):
        for down, up in adapter_layers.factors_of(pipe, erasure.name).values():
            assert not down.requires_grad and not up.requires_grad
        assert {name: p.requires_grad for name, p in parameters.items()} == flags
    assert torch.equal(torch.rand(3), expected)


def test_twice_or_never_attached(pipe):
    erasure = make_erasure(pipe)
    for call in (erasure.detach, lambda pipe: erasure.set_strength(pipe, 1)):
        with pytest.raises(InputError, match="attached now: none"):
            call(pipe)
    erasure.attach(pipe)
    with pytest.raises(InputError, match="already on this pipeline"):
        erasure.attach(pipe)


def test_two_erasures_add_up_and_come_off_in_any_order(pipe):
    base, before = generate(pipe), snapshot(pipe.unet)
    first, second = make_erasure(pipe, seed=0), make_erasure(pipe, seed=1)
    first.attach(pipe)
    alone = generate(pipe)
    second.attach(pipe)
    assert not torch.equal(generate(pipe), alone)
    second.detach(pipe)
    assert torch.equal(generate(pipe), alone)
    second.attach(pipe)
    first.detach(pipe)
    second.detach(pipe)
    assert_same(before, snapshot(pipe.unet))
    assert torch.equal(generate(pipe), base)


def test_the_teacher_is_the_base(pipe):
    """Training needs both from one network."""
    denoiser = Denoiser(pipe)
    inputs = denoiser.initial_states([0]), torch.tensor(500), denoiser.encode(["a red fox"])
    base = denoiser.predict(*inputs)
    with make_erasure(pipe).attach(pipe):
        erased = denoiser.predict(*inputs)
        with denoiser.without_adapters():
            assert torch.equal(denoiser.predict(*inputs), base)
        assert torch.equal(denoiser.predict(*inputs), erased)
        assert not torch.equal(erased, base)


def test_an_adapter_can_be_trained(pipe):
    path, change = next(iter(make_erasure(pipe).closed_form.items()))
    denoiser = Denoiser(pipe)
    adapters.attach(denoiser, {path: change}, "student")
    down, up = adapter_layers.factors_of(denoiser, "student")[path]
    assert torch.equal(down, change.down) and torch.equal(up, change.up)
    down.requires_grad_()
    inputs = denoiser.initial_states([0]), torch.tensor(500), denoiser.encode(["a red fox"])
    denoiser.predict(*inputs).square().sum().backward()
    assert down.grad is not None and down.grad.abs().max() > 0
    adapters.detach(denoiser, "student")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_networks(pipe, dtype):
    erasure = make_erasure(pipe)
    pipe.to(dtype=dtype)
    base = generate(pipe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the same base in half precision is no other base
        erasure.attach(pipe, 0)
    assert {p.dtype for p in pipe.unet.parameters()} == {dtype}
    assert torch.equal(generate(pipe), base)
    erasure.set_strength(pipe, 1)
    assert not torch.equal(generate(pipe), base)
    erasure.detach(pipe)
    assert torch.equal(generate(pipe), base)


# Other adapters ---------------------------------------------------------------------------


@pytest.mark.parametrize("active", [["mine"], ["mine", "second"], []])
def test_own_adapters_survive(pipe, active):
    add_own_adapter(pipe)
    add_own_adapter(pipe, "second")
    pipe.set_adapters(["mine", "second"], [0.7, {"unet": {"up": 0.2}}])
    pipe.unet.set_adapter(active)
    pipe.unet.mid_block.requires_grad_(False)
    alone, before = generate(pipe), snapshot(pipe.unet)

    erasure = make_erasure(pipe)
    erasure.attach(pipe)
    assert not torch.equal(generate(pipe), alone)
    during = snapshot(pipe.unet)
    assert during["active"] == [*active, erasure.name]
    for name, tensor in before["state"].items():
        if "lora_" in name:
            assert torch.equal(during["state"][name], tensor)
    erasure.set_strength(pipe, 0)
    assert torch.equal(generate(pipe), alone)
    erasure.set_strength(pipe, 1)
    erasure.detach(pipe)
    assert_same(before, snapshot(pipe.unet))
    assert torch.equal(generate(pipe), alone)


def test_own_adapter_and_erasure_add_up(pipe):
    erasure = make_erasure(pipe)
    maps = Denoiser(pipe).maps()
    add_own_adapter(pipe)
    pipe.set_adapters(["mine"], [0.7])
    with erasure.attach(pipe):
        images = generate(pipe)
    with torch.no_grad():
        for module, change in erasure.delta.items():
            maps[module].weight += change.dense()
    torch.testing.assert_close(generate(pipe), images, atol=1e-5, rtol=0)


def test_an_adapter_loaded_later_does_not_end_the_erasure_for_good(pipe):
    erasure = make_erasure(pipe)
    erasure.attach(pipe)
    add_own_adapter(pipe)  # peft activates only this one
    assert adapters.strength_of(pipe, erasure.name) == 0
    erasure.set_strength(pipe, 1)
    assert pipe.unet.active_adapters() == ["mine", erasure.name]
    erasure.detach(pipe)
    assert pipe.unet.active_adapters() == ["mine"]


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda pipe: pipe.disable_lora(), "enable_lora"),
        (lambda pipe: pipe.fuse_lora(components=["unet"]), "unfuse_lora"),
        (lambda pipe: pipe.unet.to("meta"), "enable_model_cpu_offload"),
    ],
    ids=["switched off", "fused", "offloaded"],
)
def test_no_silent_no_op(pipe, prepare, message):
    erasure = make_erasure(pipe)
    add_own_adapter(pipe)
    prepare(pipe)
    with pytest.raises(InputError, match=message):
        erasure.attach(pipe)
    assert list(pipe.unet.peft_config) == ["mine"]


# The wrong base ---------------------------------------------------------------------------


def test_another_family_names_both(pipe):
    erasure = make_erasure(pipe, family="stable-diffusion-xl")
    with pytest.raises(InputError, match=r"stable-diffusion-xl.*is stable-diffusion\."):
        erasure.attach(pipe)


def test_another_architecture(pipe):
    path, change = next(iter(make_erasure(pipe).closed_form.items()))
    before = snapshot(pipe.unet)
    wide = LowRank(torch.ones(1, change.shape[1] + 1), change.up[:, :1])
    with pytest.raises(InputError, match=r"16x33.*16x32"):
        make_erasure(pipe, closed_form={path: wide}, finetuned={}).attach(pipe)
    elsewhere = {"down_blocks.9.attn2.to_k": change}
    with pytest.raises(InputError, match=r"no linear layer 'down_blocks\.9"):
        make_erasure(pipe, closed_form=elsewhere, finetuned={}).attach(pipe)
    assert_same(before, snapshot(pipe.unet))


def other_seed(pipe):
    return tiny_stable_diffusion(seed=1)


def other_prediction(pipe):
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, prediction_type="sample")
    return pipe


def other_words(pipe):
    with torch.no_grad():
        pipe.text_encoder.get_input_embeddings().weight[7] += 0.1
    return pipe


def other_maps(pipe):
    with torch.no_grad():
        next(iter(Denoiser(pipe).maps().values())).weight[0, 0] += 0.1
    return pipe


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (other_seed, "fingerprint [0-9a-f]{12} there, [0-9a-f]{12} here"),
        (other_words, "fingerprint"),
        (other_maps, "fingerprint"),
        (other_prediction, "prediction_type epsilon there, sample here"),
    ],
)
def test_another_base_warns(pipe, change: Callable, named: str):
    erasure = make_erasure(pipe)
    other = change(pipe)
    with pytest.warns(UserWarning, match=named):
        erasure.attach(other)
    assert adapter_layers.attached(other, erasure.name)


def test_fingerprint_ignores_adapters(pipe):
    expected = fingerprint(pipe)
    add_own_adapter(pipe)
    with make_erasure(pipe).attach(pipe):
        assert fingerprint(pipe) == expected
    assert fingerprint(tiny_stable_diffusion()) == expected


def test_precisions_that_cannot_be_compared_warn(pipe):
    pipe.to(dtype=torch.float16)
    erasure = make_erasure(pipe)
    pipe.to(dtype=torch.bfloat16)
    with pytest.warns(UserWarning, match=r"made in float16, loaded in bfloat16"):
        erasure.attach(pipe)


# Late steps only --------------------------------------------------------------------------


def latents_of(pipe, callback=None) -> list[torch.Tensor]:
    """The states after every step."""
    states = []

    def record(pipe, step, timestep, kwargs):
        states.append(kwargs["latents"].clone())
        return callback(pipe, step, timestep, kwargs) if callback else kwargs

    generate(pipe, callback_on_step_end=record)
    return states


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [DDIMScheduler, EulerDiscreteScheduler])
@pytest.mark.parametrize("before_switch", [1, 2, 3])
def test_a_gate_keeps_the_early_steps(pipe, scheduler, before_switch):
    pipe.scheduler = scheduler.from_config(pipe.scheduler.config)
    base = latents_of(pipe)
    erasure = make_erasure(pipe)
    erasure.attach(pipe, 0.8)
    full = latents_of(pipe)
    level = float(Denoiser(pipe).noise_levels(pipe.scheduler.timesteps[before_switch]))
    gated = latents_of(pipe, erasure.gate(pipe, level))
    for step in range(STEPS):
        if step < before_switch:
            assert torch.equal(gated[step], base[step])
        else:
            assert (gated[step] - base[step]).abs().max() > 1e-4
    assert adapters.strength_of(pipe, erasure.name) == 0.8
    # Afterwards the erasure acts in full again.
    assert all(map(torch.equal, latents_of(pipe), full))


def test_gates_at_both_ends(pipe):
    base = latents_of(pipe)
    erasure = make_erasure(pipe)
    erasure.attach(pipe)
    full = latents_of(pipe)
    assert all(map(torch.equal, latents_of(pipe, erasure.gate(pipe, 0)), base))
    assert all(map(torch.equal, latents_of(pipe, erasure.gate(pipe, 1)), full))


def test_a_gate_serves_one_generation(pipe):
    erasure = make_erasure(pipe)
    erasure.attach(pipe)
    gate = erasure.gate(pipe, 0.5)
    generate(pipe, callback_on_step_end=gate)
    with pytest.raises(InputError, match="new gate"):
        generate(pipe, callback_on_step_end=gate)


def test_gates_that_make_no_sense(pipe):
    erasure = make_erasure(pipe)
    with pytest.raises(InputError, match="Attach it first"):
        erasure.gate(pipe, 0.5)
    erasure.attach(pipe, 0)
    with pytest.raises(InputError, match="strength 0"):
        erasure.gate(pipe, 0.5)
    erasure.set_strength(pipe, 1)
    for level in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="noise_level"):
            erasure.gate(pipe, level)


def test_merge_statistics_under_their_old_name():
    erasure = make_erasure(tiny_stable_diffusion())
    with pytest.warns(DeprecationWarning, match="merge_statistics"):
        assert erasure.shares == erasure.merge_statistics
