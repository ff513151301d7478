"""Whatever verb breaks off wherever, the pipeline is bit for bit what it was."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer

from support.artifacts import snapshot
from trace_erasure import Concept, FinetuneConfig, InputError, MergeConfig, certify, erase, merge
from trace_erasure.errors import NonFiniteError
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
from trace_erasure.trace.capacity import capacity

FOX, HORSE = Concept("fox", surrogate="dog"), Concept("horse", surrogate="dog")
QUICK = FinetuneConfig(
    steps=2, rank=1, batch=2, trajectories=1, retain_trajectories=1, sampler_steps=2
)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def prepared() -> Any:
    """A pipeline with a LoRA of the user's own, inactive, and with gradients asked for."""
    found = tiny_stable_diffusion()
    torch.manual_seed(3)
    config = LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False)
    found.unet.add_adapter(config, "mine")
    found.unet.set_adapter([])
    found.unet.requires_grad_(True)
    return found


@pytest.fixture(scope="module")
def parts() -> list[Any]:
    return [erase(prepared(), concept, captions=CAPTIONS) for concept in (FOX, HORSE)]


def state(pipe: Any) -> dict[str, Any]:
    """Everything that a user could notice, of network, encoders and generator."""
    found = snapshot(pipe.unet)
    del found["modules"]  # the wrappers of layers may be new ones
    return {
        **found,
        "scales": {
            path: dict(module.scaling)
            for path, module in pipe.unet.named_modules()
            if isinstance(module, LoraLayer)
        },
        "off": {
            path: module.disable_adapters
            for path, module in pipe.unet.named_modules()
            if isinstance(module, LoraLayer)
        },
        "text": {key: value.clone() for key, value in pipe.text_encoder.state_dict().items()},
        "random": torch.get_rng_state(),
        "scheduler": dict(pipe.scheduler.config),
        "methods": sorted(vars(pipe.unet).keys() - {"config"}),
        "hooks": sum(len(module._forward_hooks) for module in pipe.text_encoder.modules()),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name, value in before.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, after[name]), name
        elif name in ("state", "text"):
            assert sorted(value) == sorted(after[name])
            differ = [key for key, one in value.items() if not torch.equal(one, after[name][key])]
            assert not differ
        else:
            assert value == after[name], name


VERBS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "erase": lambda pipe, parts: erase(pipe, FOX, captions=CAPTIONS),
    "finetune": lambda pipe, parts: erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK),
    "capacity": lambda pipe, parts: capacity(pipe, [FOX], captions=CAPTIONS),
    "attach": lambda pipe, parts: parts[0].attach(pipe),
    "fuse": lambda pipe, parts: parts[0].fuse(pipe),
    "certify": lambda pipe, parts: certify(pipe, parts[0], paths=2, steps=2),
    "merge": lambda pipe, parts: merge(parts, pipe, captions=CAPTIONS),
    "integrate": lambda pipe, parts: merge(
        parts, pipe, captions=CAPTIONS, settings=MergeConfig(integrate=QUICK)
    ),
    "detach": lambda pipe, parts: parts[1].detach(pipe),
    "set_weight": lambda pipe, parts: parts[1].set_weight(pipe, 0.25),
}
POINTS = (
    ("unet", "forward"), ("unet", "add_adapter"), ("unet", "set_adapter"),
    ("unet", "delete_adapters"), ("text_encoder", "forward"), ("lora", "set_scale"),
    ("lora", "set_adapter"), ("lora", "delete_adapter"), ("lora", "enable_adapters"),
)  # fmt: skip
"""Methods that verbs run through: of the network, of the text encoder, of every LoRA layer."""


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("verb", VERBS)
def test_after_an_exception_the_pipeline_is_what_it_was(parts, verb, number):
    random = Random(f"{verb} {number}")
    part, method = random.choice(POINTS)
    when, early = random.choice((1, 2, 3, 7)), random.random() < 0.5
    kind = random.choice((MemoryError, KeyboardInterrupt, RuntimeError))
    pipe = prepared()
    if verb in ("detach", "set_weight"):
        parts[1].attach(pipe, 0.75)
    before, calls = state(pipe), []
    owner = LoraLayer if part == "lora" else type(getattr(pipe, part))
    real = getattr(owner, method)

    def breaks(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(1)
        if early and len(calls) == when:
            raise kind("no more")
        result = real(self, *args, **options)
        if len(calls) == when:
            raise kind("no more")
        return result

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(owner, method, breaks)
        try:
            VERBS[verb](pipe, parts)
        except kind as error:
            assert "no more" in str(error)
            broken = True
        else:
            assert len(calls) < when
            broken = False
    if broken:
        assert_same(before, state(pipe))


@pytest.mark.parametrize("verb", ["erase", "capacity", "fuse", "certify", "merge"])
def test_a_verb_that_ends_leaves_the_pipeline_as_it_was(parts, verb):
    pipe = prepared()
    before = state(pipe)
    VERBS[verb](pipe, parts)
    assert_same(before, state(pipe))


def test_a_fused_lora_of_the_users_own_stays_fused():
    pipe = tiny_stable_diffusion()
    pipe.unet.add_adapter(
        LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False), "mine"
    )
    pipe.fuse_lora(components=["unet"])
    before = state(pipe)
    made = erase(pipe, FOX, captions=CAPTIONS)
    assert_same(before, state(pipe))
    pipe.unload_lora_weights()  # the weights stay as they were fused
    assert erase(pipe, FOX, captions=CAPTIONS).name == made.name


# Numbers that cannot be computed with ------------------------------------------------------


def spoil(module: Any, name: str, value: float) -> None:
    with torch.no_grad():
        for path, weight in module.named_parameters():
            if name in path:
                weight.view(-1)[0] = value
                return
    raise AssertionError(name)


def fill(module: Any) -> None:
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()


DAMAGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "nan in to_k": (lambda p: spoil(p.unet, "attn2.to_k", torch.nan), r"to_k\.weight holds NaN"),
    "inf in to_v": (lambda p: spoil(p.unet, "attn2.to_v", torch.inf), r"to_v\.weight holds NaN"),
    "nan elsewhere": (lambda p: spoil(p.unet, "conv_in", torch.nan), "conv_in.* holds NaN"),
    "nan in a token": (
        lambda p: spoil(p.text_encoder, "token_embedding", torch.nan), "token_embedding.* holds NaN"
    ),
    "overflow": (lambda p: spoil(p.text_encoder, "fc1", 1e38), "not finite|NaN"),
    "no encoder": (lambda p: fill(p.text_encoder), "the same for every prompt"),
    "no maps": (lambda p: fill(p.unet), "all zero"),
    "offloaded": (lambda p: p.text_encoder.to("meta"), "one by one"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_pipeline_that_cannot_be_computed_with_is_refused(parts, damage):
    change, said = DAMAGES[damage]
    pipe = tiny_stable_diffusion()
    change(pipe)
    verbs = ["erase", "finetune"] if damage != "overflow" else ["finetune"]
    for verb in verbs:
        with pytest.raises((InputError, NonFiniteError), match=said):
            VERBS[verb](pipe, parts)


def test_what_training_blows_up_is_no_erasure():
    pipe = tiny_stable_diffusion()
    spoil(pipe.unet, "attn2.to_k", 1e38)
    with pytest.raises((InputError, NonFiniteError), match=r"not finite|is nan"):
        erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK)
