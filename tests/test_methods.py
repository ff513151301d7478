"""What every method has to keep, on tiny random pipelines: the conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines import base as method_module
from trace_erasure.baselines import esd as esd_module
from trace_erasure.baselines.registry import METHODS, method
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.pipeline import adapter_layers
from trace_erasure.testing import (
    tiny_flux,
    tiny_flux2_klein,
    tiny_sd3,
    tiny_sdxl,
    tiny_stable_diffusion,
)
from trace_erasure.trace import training

POSITIONS = 48
CAPTIONS = tuple(
    f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat", "fox")
)
CONCEPT = Concept(
    "fox", surrogate="cat", synonyms=("horse",), templates=("{x}", "a photo of a {x}")
)
QUICK: dict[str, dict[str, Any]] = {
    "trace": {
        "finetune": FinetuneConfig(
            steps=2,
            batch=2,
            rank=2,
            trajectories=2,
            retain_trajectories=3,
            sampler_steps=3,
            noise_level=0.6,
        )
    },
    "esd-x": {"steps": 2, "trajectories": 2, "sampler_steps": 3},
    "esd-u": {"steps": 2, "trajectories": 2, "sampler_steps": 3},
    "uce": {},
    "mace": {"steps": 2, "pictures": 2, "sampler_steps": 2, "learning_rate": 1e-2},
    "ant-single": {
        "steps": 2,
        "trajectories": 2,
        "sampler_steps": 4,
        "noise_level": 0.7,
        "saliency_steps": 2,
    },
    "ant-multi": {"steps": 2, "trajectories": 2, "sampler_steps": 4, "noise_level": 0.7},
    "eraseanything": {"steps": 3, "trajectories": 2, "sampler_steps": 3, "wordings": 4, "kept": 3},
    "rece": {"rounds": 2},
    "speed": {"copies": 2},
}


@dataclass(frozen=True)
class Case:
    build: Callable[..., Any]
    call: dict[str, Any] = field(default_factory=dict)

    def pipe(self) -> Any:
        return self.build(positions=POSITIONS)


LENGTH = {"max_sequence_length": POSITIONS}
CASES = {
    "sd": Case(tiny_stable_diffusion),
    "sdxl": Case(tiny_sdxl),
    "sd3": Case(tiny_sd3, LENGTH),
    "flux": Case(tiny_flux, LENGTH),
    "flux 2": Case(tiny_flux2_klein, LENGTH),
}
REFUSED = {
    *(("mace", family) for family in ("sd3", "flux", "flux 2")),
    *(("eraseanything", family) for family in ("sd", "sdxl")),
}
MAIN = [(name, family) for name in METHODS for family in ("sd", "flux")]
OTHER = [(name, family) for name in METHODS for family in ("sdxl", "sd3", "flux 2")]


def allowed(pairs: list[tuple[str, str]]) -> Any:
    return pytest.mark.parametrize(
        ("name", "family"), [pair for pair in pairs if pair not in REFUSED]
    )


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def erase(name: str, pipe: Any, **options: Any) -> Erasure:
    quick = replace(METHODS[name], **QUICK[name])  # type: ignore[type-var]
    return quick.erase(pipe, [CONCEPT], captions=CAPTIONS, **options)


def images(pipe: Any, case: Case) -> torch.Tensor:
    return pipe(
        prompt=["a photo of a fox", "a red dog"],
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
        output_type="pt",
        **case.call,
    ).images


def state_of(network: torch.nn.Module) -> dict[str, Any]:
    """Everything that a method could leave behind."""
    hooks = sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()
    )
    return {
        "weights": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "modules": [(path, type(module)) for path, module in network.named_modules()],
        "gradients": {name: p.requires_grad for name, p in network.named_parameters()},
        "stored": [name for name, p in network.named_parameters() if p.grad is not None],
        "adapters": list(getattr(network, "peft_config", {})),
        "hooks": hooks,
        "training": network.training,
    }


def assert_untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    weights, found = before["weights"], after["weights"]
    assert list(found) == list(weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert {**after, "weights": None} == {**before, "weights": None}


@pytest.mark.slow
@allowed(MAIN)
def test_a_method_keeps_its_promises(name, family, tmp_path):
    case = CASES[family]
    pipe = case.pipe()
    network = adapter_layers.network_of(pipe)
    before, base = state_of(network), images(pipe, case)
    random = torch.random.get_rng_state()
    erasure = erase(name, pipe)
    # Memory returned: no weight, adapter, hook, flag or gradient is left on the pipeline.
    assert torch.equal(torch.random.get_rng_state(), random)
    assert_untouched(before, state_of(network))
    assert torch.equal(images(pipe, case), base)

    erasure.attach(pipe, strength=0)
    assert torch.equal(images(pipe, case), base)
    erasure.set_strength(pipe, 1)
    erased = images(pipe, case)
    assert erased.isfinite().all() and not torch.equal(erased, base)
    erasure.detach(pipe)
    assert_untouched(before, state_of(network))
    assert torch.equal(images(pipe, case), base)

    # Same seed, same bytes; what is loaded draws what was saved.
    first = erasure.save(tmp_path / "first")
    again = erase(name, case.pipe()).save(tmp_path / "again")
    assert first.read_bytes() == again.read_bytes()
    with Erasure.load(first).attach(pipe):
        assert torch.equal(images(pipe, case), erased)


@pytest.mark.slow
@allowed(OTHER)
def test_the_other_families_are_erased_from_by_the_same_code(name, family):
    case = CASES[family]
    pipe = case.pipe()
    network = adapter_layers.network_of(pipe)
    before, base = state_of(network), images(pipe, case)
    erasure = erase(name, pipe)
    assert_untouched(before, state_of(network))
    with erasure.attach(pipe):
        assert not torch.equal(images(pipe, case), base)


@pytest.mark.parametrize(("name", "family"), sorted(REFUSED))
def test_a_family_that_a_method_is_not_for_is_refused_before_any_work(name, family, monkeypatch):
    pipe = CASES[family].pipe()

    def never(*args, **options):
        raise AssertionError("work has begun")

    monkeypatch.setattr(method_module, "resolve", never)
    monkeypatch.setattr(pipe, "encode_prompt", never)
    with pytest.raises(InputError, match=r"Use a Stable Diffusion"):
        erase(name, pipe)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["esd-x", "mace", "ant-single", "ant-multi"])
def test_a_killed_training_goes_on_where_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 1)
    monkeypatch.setitem(QUICK, name, {**QUICK[name], "steps": 4})
    whole = erase(name, tiny_stable_diffusion(positions=POSITIONS))

    pipe = tiny_stable_diffusion(positions=POSITIONS)
    before = state_of(pipe.unet)
    count, real = 0, training.save_checkpoint

    def dying(*args):
        nonlocal count
        count += 1
        real(*args)
        if count == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", dying)
    with pytest.raises(KeyboardInterrupt):
        erase(name, pipe, workdir=tmp_path)
    assert_untouched(before, state_of(pipe.unet))
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    resumed = erase(name, pipe, workdir=tmp_path)
    assert count == 4  # two steps before, two after
    files = [one.save(tmp_path / str(i)) for i, one in enumerate((whole, resumed))]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(tmp_path.glob("*.safetensors")) == files


def test_training_stops_at_a_loss_that_is_not_finite_and_names_it(monkeypatch):
    pipe = tiny_stable_diffusion(positions=POSITIONS)
    before = state_of(pipe.unet)
    monkeypatch.setattr(esd_module, "reverse_cfg", lambda e, *_: e.flatten(1).mean(1) * torch.nan)
    with pytest.raises(NonFiniteError, match=r"'erase' is nan at step 0"):
        erase("esd-x", pipe)
    assert_untouched(before, state_of(pipe.unet))


def test_an_unknown_method_is_named_with_those_that_there_are():
    with pytest.raises(InputError, match=r"'sed'.*esd-x, esd-u, uce"):
        method("sed")


@pytest.mark.slow
def test_several_concepts_are_erased_together():
    pipe = tiny_stable_diffusion(positions=POSITIONS)
    two = [CONCEPT, Concept("red dog", surrogate="cat", templates=("a photo of a {x}",))]
    for name in METHODS:
        if (name, "sd") not in REFUSED:
            quick = replace(METHODS[name], **QUICK[name])  # type: ignore[type-var]
            erasure = quick.erase(pipe, two, captions=CAPTIONS)
            assert all(change.dense().isfinite().all() for change in erasure.delta.values())
