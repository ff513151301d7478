"""States of a pipeline that stop an operation: refused in one sentence, nothing touched."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import accelerate
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline
from peft import LoraConfig

from support.artifacts import assert_same, make_erasure, snapshot
from trace_erasure import (
    Concept,
    FinetuneConfig,
    certify,
    erase,
    forecast,
    generate,
    load_pipeline,
)
from trace_erasure.errors import InputError
from trace_erasure.pipeline import adapter_layers
from trace_erasure.testing import CAPTIONS, tiny_flux, tiny_stable_diffusion

FOX = Concept("fox", surrogate="dog")
QUICK = FinetuneConfig(
    steps=1, rank=1, batch=2, trajectories=1, retain_trajectories=1, sampler_steps=2
)


def lora(pipe, name: str = "mine", **options) -> None:
    torch.manual_seed(3)
    config = LoraConfig(r=2, target_modules=["to_k", "to_v"], init_lora_weights=False, **options)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")
        pipe.unet.add_adapter(config, name)


def compiled(pipe) -> None:
    pipe.unet = torch.compile(pipe.unet)


def fused(pipe) -> None:
    lora(pipe)
    pipe.fuse_lora(components=["unet"])


def layerwise(pipe) -> None:
    pipe.unet.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )


def grouped(pipe) -> None:
    pipe.unet.enable_group_offload(
        onload_device=torch.device("cpu"), offload_type="block_level", num_blocks_per_group=1
    )


def offloaded(pipe) -> None:

    accelerate.cpu_offload(pipe.unet, execution_device=torch.device("cpu"))


def quantised(pipe) -> None:
    pipe.unet = torch.ao.quantization.quantize_dynamic(pipe.unet, {torch.nn.Linear})


STATES = [
    (compiled, "torch.compile"),
    (lambda pipe: pipe.fuse_qkv_projections(), "unfuse_qkv_projections"),
    (layerwise, "layerwise casting"),
    (grouped, "offloaded in groups"),
    (offloaded, "one by one"),
    (quantised, "quantised"),
]
NAMES = ["compiled", "fused projections", "layerwise", "grouped", "offloaded", "quantised"]


@pytest.mark.parametrize(("prepare", "named"), STATES, ids=NAMES)
def test_states_that_stop_everything(prepare: Callable, named: str):
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    prepare(pipe)
    before = [(name, p.data_ptr()) for name, p in pipe.unet.named_parameters()]
    for act in (
        erasure.attach,
        erasure.fuse,
        lambda pipe: erase(pipe, FOX, captions=CAPTIONS),
        lambda pipe: erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK),
    ):
        with pytest.raises(InputError, match=named):
            act(pipe)
        assert [(name, p.data_ptr()) for name, p in pipe.unet.named_parameters()] == before
        assert not getattr(pipe.unet, "peft_config", {})


def test_projections_that_were_fused_once():
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    pipe.fuse_qkv_projections()
    pipe.unfuse_qkv_projections()
    with erasure.attach(pipe):
        pass


def test_a_fused_erasure_is_not_taken_off():
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    erasure.attach(pipe)
    pipe.fuse_lora(components=["unet"])
    for act in (erasure.detach, lambda pipe: erasure.set_weight(pipe, 0.5)):
        with pytest.raises(InputError, match="unfuse_lora"):
            act(pipe)
    pipe.unfuse_lora(components=["unet"])
    erasure.detach(pipe)


def test_dora_stops_fusing_alone():
    pipe = tiny_stable_diffusion()
    lora(pipe, use_dora=True)
    erasure = make_erasure(pipe)
    with erasure.attach(pipe):
        pass
    with pytest.raises(InputError, match="DoRA"):
        erasure.fuse(pipe)


def test_without_text_encoders_an_erasure_is_attached(caplog):
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    pipe.text_encoder = pipe.tokenizer = None
    with caplog.at_level("INFO"), erasure.attach(pipe):
        assert adapter_layers.attached(pipe, erasure.name)
    assert "no text encoder" in caplog.text
    with pytest.raises(InputError, match="text encoder"):
        erase(pipe, FOX, captions=CAPTIONS)


def test_the_same_file_twice(tmp_path):
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    pipe.load_lora_weights(str(erasure.save(tmp_path / "fox")))
    (name,) = pipe.unet.peft_config
    before = snapshot(pipe.unet)
    with pytest.raises(InputError, match=f"already, as the adapter '{name}'"):
        erasure.attach(pipe)
    assert_same(before, snapshot(pipe.unet))
    pipe.delete_adapters(name)
    with erasure.attach(pipe):
        pass


def test_an_ip_adapter_stops_erasing_alone():
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    processor = type("IPAdapterAttnProcessor", (torch.nn.Module,), {})
    name = next(iter(pipe.unet.attn_processors))
    module = pipe.unet.get_submodule(name.removesuffix(".processor"))
    module.processor = processor()
    with pytest.raises(InputError, match="IP-Adapter"):
        erase(pipe, FOX, captions=CAPTIONS)
    with erasure.attach(pipe):
        pass


def test_gradients_are_enabled_where_they_are_needed():
    pipe = tiny_stable_diffusion()
    with torch.no_grad():
        made = erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK)
    again = erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK)
    assert made.name == again.name
    with torch.inference_mode(), pytest.raises(InputError, match="inference_mode"):
        erase(pipe, FOX, captions=CAPTIONS, finetune=QUICK)


def test_a_lora_of_the_users_own_is_said(caplog):
    pipe = tiny_stable_diffusion()
    alone = erase(pipe, FOX, captions=CAPTIONS)
    lora(pipe)
    with caplog.at_level("WARNING"):
        beside = erase(pipe, FOX, captions=CAPTIONS)
    assert "mine" in caplog.text
    assert beside.name == alone.name


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
@pytest.mark.parametrize("step", ["add_adapter", "set_adapter"])
def test_after_an_exception_the_pipeline_is_as_it_was(make, step, monkeypatch):
    pipe = make()
    erasure = erase(pipe, FOX, captions=CAPTIONS)
    network = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    before, calls = snapshot(network), []
    real = getattr(type(network), step)

    def breaks(self, *args, **options):
        calls.append(args)
        real(self, *args, **options)
        if len(calls) == 1:
            raise MemoryError("no more")

    monkeypatch.setattr(type(network), step, breaks)
    with pytest.raises(MemoryError):
        erasure.attach(pipe)
    monkeypatch.undo()
    after = snapshot(network)
    assert after["adapters"] == [] and after["layers"] == before["layers"]
    assert list(after["state"]) == list(before["state"])
    assert all(torch.equal(after["state"][k], v) for k, v in before["state"].items())
    with erasure.attach(pipe):
        pass


def test_a_pipeline_with_an_erasure_attached_is_not_saved(tmp_path):
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    before = snapshot(pipe.unet)
    attachment = erasure.attach(pipe)
    with pytest.raises(InputError, match=r"erasure\.fuse"):
        pipe.save_pretrained(tmp_path / "attached")
    erasure.fuse(tiny_stable_diffusion()).save_pretrained(tmp_path / "fused")
    with attachment:
        pass
    pipe.save_pretrained(tmp_path / "detached")
    network = type(pipe.unet).from_pretrained(tmp_path / "detached" / "unet")
    assert_same(before, snapshot(pipe.unet))
    for name, weight in pipe.unet.state_dict().items():
        assert torch.equal(weight, network.state_dict()[name])


def test_image_to_image_is_pointed_to_lora_files(tmp_path):
    pipe = tiny_stable_diffusion()
    erasure = make_erasure(pipe)
    other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    with pytest.raises(InputError, match="load_lora_weights"):
        erasure.attach(other)

    def draw() -> torch.Tensor:
        result: Any = other(
            "a photo of a fox",
            image=torch.full((1, 3, 16, 16), 0.5),
            num_inference_steps=4,
            generator=torch.Generator().manual_seed(0),
            output_type="pt",
        )
        return result.images

    original = draw()
    other.load_lora_weights(str(erasure.save(tmp_path / "fox")))
    erased = draw()
    other.unload_lora_weights()
    with erasure.attach(pipe):
        expected = draw()
    assert not torch.equal(erased, original)
    torch.testing.assert_close(erased, expected)


def test_networks_that_are_offloaded_in_turn_are_erased_from_and_not_trained():
    cpu, hook = torch.device("cpu"), None
    pipe = tiny_stable_diffusion()
    for network in (pipe.text_encoder, pipe.unet, pipe.vae):
        _, hook = accelerate.cpu_offload_with_hook(network, cpu, prev_module_hook=hook)
    fox = Concept("fox", surrogate="dog")
    erasure = erase(pipe, fox, captions=CAPTIONS)
    assert erasure.name == erase(tiny_stable_diffusion(), fox, captions=CAPTIONS).name
    with erasure.attach(pipe):
        generate(pipe, "a fox", [0], steps=1)
    for refused in (
        lambda: erase(pipe, fox, captions=CAPTIONS, finetune=FinetuneConfig(steps=1)),
        lambda: certify(pipe, erasure, paths=2, steps=1),
        lambda: forecast(pipe, fox, ["cat"], captions=CAPTIONS),
    ):
        with pytest.raises(InputError, match="offloaded in turn"):
            refused()
    assert certify(pipe, erasure, paths=0, steps=1).exact


def test_ways_to_offload_when_loading(monkeypatch):
    asked = []
    pipe = tiny_stable_diffusion()
    monkeypatch.setattr(
        type(pipe), "enable_model_cpu_offload", lambda self, **how: asked.append(how)
    )
    assert load_pipeline(pipe, offload="model", device="cpu") is pipe
    assert asked == [{"device": torch.device("cpu")}]
    for other in ("sequential", "group", "disk"):
        with pytest.raises(InputError, match="attach first and offload then"):
            load_pipeline(pipe, offload=other)
