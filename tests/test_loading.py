"""One loader: shipped models, folders in any dtype, checkpoints, the hub, live pipelines."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline

from trace_erasure import load_pipeline
from trace_erasure.errors import InputError
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion


def dtypes(pipe) -> set[torch.dtype]:
    """Those of all parts; T5 keeps single layers in float32 by design."""
    parts = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
    return {next(part.parameters()).dtype for part in parts}


@pytest.mark.parametrize("make", [tiny_stable_diffusion, tiny_flux])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_folder_keeps_its_dtype_in_all_parts(tmp_path, make, dtype):
    make().to(dtype=dtype).save_pretrained(tmp_path)
    assert dtypes(load_pipeline(tmp_path)) == {dtype}
    assert dtypes(load_pipeline(str(tmp_path), dtype="float32")) == {torch.float32}
    assert dtypes(load_pipeline(tmp_path, dtype=torch.bfloat16)) == {torch.bfloat16}


@pytest.mark.parametrize("shards", ["10GB", "20KB"])
def test_a_variant_is_found(tmp_path, shards):
    pipe = tiny_stable_diffusion().to(dtype=torch.float16)
    pipe.save_pretrained(tmp_path, variant="fp16", max_shard_size=shards)
    assert not (tmp_path / "unet/diffusion_pytorch_model.safetensors").exists()
    found = load_pipeline(tmp_path)
    assert dtypes(found) == {torch.float16}
    state = pipe.unet.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in found.unet.state_dict().items())


def test_the_full_files_come_first_and_a_variant_can_be_chosen(tmp_path):
    tiny_stable_diffusion().save_pretrained(tmp_path)
    tiny_stable_diffusion().to(dtype=torch.float16).save_pretrained(tmp_path, variant="fp16")
    assert dtypes(load_pipeline(tmp_path)) == {torch.float32}
    assert dtypes(load_pipeline(tmp_path, variant="fp16")) == {torch.float16}


def test_relative_folders(tmp_path, monkeypatch):
    tiny_stable_diffusion().save_pretrained(tmp_path / "models" / "mine")
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_pipeline("models/mine"), StableDiffusionPipeline)
    assert isinstance(load_pipeline("./models/mine/"), StableDiffusionPipeline)


def test_a_live_pipeline_passes_through():
    pipe = tiny_stable_diffusion()
    assert load_pipeline(pipe) is pipe
    assert dtypes(load_pipeline(pipe, dtype="float16", device="cpu")) == {torch.float16}
    with pytest.raises(InputError, match="dict is no model"):
        load_pipeline({})


def test_a_checkpoint_goes_through_from_single_file(tmp_path, monkeypatch):
    """Which pipeline, which dtype, which settings; the conversion itself is diffusers'."""
    from diffusers.loaders import single_file_utils
    from safetensors.torch import save_file

    asked = {}

    def from_single_file(path, **options):
        asked.update(options, path=path)
        return tiny_stable_diffusion()

    monkeypatch.setattr(StableDiffusionPipeline, "from_single_file", from_single_file)
    monkeypatch.setattr(single_file_utils, "infer_diffusers_model_type", lambda state: "v1")
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2, dtype=torch.float16)}, file)
    load_pipeline(file)
    assert asked == {"path": str(file), "dtype": torch.float16}
    monkeypatch.setattr(single_file_utils, "infer_diffusers_model_type", lambda state: "upscale")
    with pytest.raises(InputError, match=r"model\.safetensors.*'upscale'"):
        load_pipeline(file)
    settings = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet"]}
    (tmp_path / "model_index.json").write_text(json.dumps(settings))
    load_pipeline(file, dtype="float32")
    beside = {"dtype": torch.float32, "config": str(tmp_path), "local_files_only": True}
    assert asked == {"path": str(file), **beside}


def test_the_hub_is_asked_by_diffusers_own_rules(tmp_path, monkeypatch):
    tiny_stable_diffusion().save_pretrained(tmp_path)
    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(tmp_path)

    monkeypatch.setattr(DiffusionPipeline, "download", download)
    pipe = load_pipeline("user/model", revision="v1", dtype="float16")
    assert dtypes(pipe) == {torch.float16}
    assert asked == {
        "name": "user/model",
        "revision": "v1",
        "variant": None,
        "use_safetensors": True,
    }


def test_offline_the_hub_is_one_clear_error(tmp_path, monkeypatch):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(name, **options):
        raise LocalEntryNotFoundError("Cannot find the requested files in the local cache.")

    monkeypatch.setattr(DiffusionPipeline, "download", download)
    with pytest.raises(InputError, match=r"no folder 'user/model'.*hub.*network"):
        load_pipeline("user/model")


def no_folder(folder: Path) -> str:
    return "no such model"


def empty_folder(folder: Path) -> Path:
    folder.mkdir()
    return folder


def pickle(folder: Path) -> Path:
    file = folder.with_suffix(".ckpt")
    file.write_bytes(b"\x80\x04")
    return file


def pickled_weights(folder: Path) -> Path:
    tiny_stable_diffusion().save_pretrained(folder, safe_serialization=False)
    assert list(folder.rglob("*.bin"))
    return folder


def not_safetensors(folder: Path) -> Path:
    file = folder.with_suffix(".safetensors")
    file.write_bytes(b"nothing")
    return file


def cut_weights(folder: Path) -> Path:
    tiny_stable_diffusion().save_pretrained(folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    os.truncate(weights, 1000)
    return folder


def cut_encoder(folder: Path) -> Path:
    tiny_stable_diffusion().save_pretrained(folder)
    os.truncate(folder / "text_encoder/model.safetensors", 1000)
    return folder


def no_encoder(folder: Path) -> Path:
    tiny_stable_diffusion().save_pretrained(folder)
    shutil.rmtree(folder / "text_encoder")
    return folder


def damaged_index(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model_index.json").write_text("{")
    return folder


@pytest.mark.parametrize(
    "make",
    [
        no_folder, empty_folder, pickle, pickled_weights, not_safetensors, cut_weights,
        cut_encoder, no_encoder, damaged_index,
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_one_error_with_the_name(tmp_path, make):
    model = make(tmp_path / "model")
    with pytest.raises(InputError) as error:
        load_pipeline(model)
    assert str(model) in str(error.value)


@pytest.mark.parametrize("dtype", ["half", "float64", "int8"])
def test_dtypes_that_are_not_known(dtype):
    with pytest.raises(InputError, match="float32, float16, bfloat16"):
        load_pipeline(tiny_stable_diffusion(), dtype=dtype)


@pytest.mark.parametrize(
    "device, message",
    [("nonsense", "device is 'nonsense'; allowed: cpu"), ("xpu:7", "cannot move")],
)
def test_a_device_that_is_not_there(device, message):
    with pytest.raises(InputError, match=message):
        load_pipeline(tiny_stable_diffusion(), device=device)
