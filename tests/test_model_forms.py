"""Every form that a model can have, through every verb: erase, generate, certify, evaluate.

Folders in half precision, a variant, a relative path, a repository in the hub's cache, and one file
in the layout of the model's own code. What does not work says why.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from support.cli import call, fails
from support.evaluation import save_classifier
from support.original_layout import network_tensors, save_single_file
from support.tasks import save_foxes
from trace_erasure.errors import InputError
from trace_erasure.evaluation import RunFolder
from trace_erasure.pipeline import loading
from trace_erasure.testing import CAPTIONS
from trace_erasure.testing.families import tiny

NAMES = ("stable-diffusion", "stable-diffusion-xl", "stable-diffusion-3", "flux")
COMMIT = "0" * 40


def half(pipe: Any, folder: Path) -> str:
    pipe.to(dtype=torch.float16).save_pretrained(folder / "half")
    return str(folder / "half")


def brain(pipe: Any, folder: Path) -> str:
    pipe.to(dtype=torch.bfloat16).save_pretrained(folder / "brain")
    return str(folder / "brain")


def variant(pipe: Any, folder: Path) -> str:
    pipe.to(dtype=torch.float16).save_pretrained(folder / "variant", variant="fp16")
    return str(folder / "variant")


def relative(pipe: Any, folder: Path) -> str:
    pipe.save_pretrained(folder / "models" / "mine")
    return "models/mine"


def cached(pipe: Any, folder: Path) -> str:
    """A repository as the hub's own client keeps it."""
    repository = folder / "hub" / "models--user--tiny"
    pipe.save_pretrained(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return "user/tiny"


def single_file(pipe: Any, folder: Path) -> str:
    return str(save_single_file(pipe, folder / "single" / "model.safetensors"))


def network_alone(pipe: Any, folder: Path) -> str:
    """A fine-tuned network in one file, the base model's folder apart."""
    file = folder / "network.safetensors"
    network = getattr(pipe, "unet", None) or pipe.transformer
    save_file(network_tensors(network), file)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()  # so that the base model's own weights would show
    pipe.save_pretrained(folder / "base")
    return str(file)


FORMS: dict[str, tuple[Callable[[Any, Path], str], torch.dtype]] = {
    "fp16": (half, torch.float16),
    "bf16": (brain, torch.bfloat16),
    "variant fp16": (variant, torch.float16),
    "relative path": (relative, torch.float32),
    "cached repository": (cached, torch.float32),
    "single file": (single_file, torch.float32),
    "network in one file": (network_alone, torch.float32),
}
"""How each is made, and the precision that a model of it then has."""
TABLE = [(name, form) for name in NAMES for form in FORMS if form != "single file"]
TABLE.append(("stable-diffusion", "single file"))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working folder of one's own, with the hub's cache in it, and no network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loaded(monkeypatch):
    """The pipelines that the verbs get, drawing pictures of 16 pixels."""
    found = []
    load = loading.load_pipeline

    def small(*arguments, **options):
        pipe = load(*arguments, **options)
        if hasattr(pipe, "default_sample_size"):  # FLUX.1's own is that of a megapixel
            pipe.default_sample_size = 8
        found.append(pipe)
        return pipe

    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", small)
    return found


def done(*words: Any) -> str:
    result = call(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), TABLE)
def test_a_model_of_this_form_goes_through_every_verb(name, form, tmp_path, loaded):
    make, dtype = FORMS[form]
    model = ["--model", make(tiny(name), tmp_path)]
    if form == "network in one file":
        model += ["--config", "base"]
    (tmp_path / "captions.txt").write_text("\n".join(CAPTIONS))
    words = ["--concept", "fox", "--surrogate", "dog", "--captions", "captions.txt"]
    done("erase", *model, *words, "--quiet")
    (file,) = Path("out").glob("*.safetensors")
    short = ["--steps", 2, "--guidance-scale", 2.0]
    done("generate", *model, "--prompt", "a fox", "--erasure", file, *short, "--out", "drawn")
    assert len([*Path("drawn").glob("*.png")]) == 1
    assert done("certify", file, *model, *short, "--paths", 2)
    save_foxes(tmp_path)
    save_classifier(tmp_path / "judge")
    judged = ["--judge", "judge", "--tasks-dir", ".", "--out", "measured"]
    done("evaluate", "--task", "foxes", *model, *judged, "--erasure", file)
    assert len(RunFolder(Path("measured")).verdicts.read()) > 0
    assert len(loaded) == 4
    for pipe in loaded:
        assert type(pipe).__name__ == type(tiny(name)).__name__
        assert next(pipe.vae.parameters()).dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_a_network_in_one_file_takes_the_place_of_the_base_models(name, tmp_path):
    found = loading.load_pipeline(network_alone(tiny(name), tmp_path), config=tmp_path / "base")
    expected = tiny(name)
    assert type(found) is type(expected)
    for part, own in expected.components.items():
        if isinstance(own, torch.nn.Module):
            loaded = getattr(found, part).state_dict()
            assert own.state_dict().keys() == loaded.keys()
            assert all(torch.equal(loaded[key], x) for key, x in own.state_dict().items()), part


def test_config_is_a_folder_and_goes_with_a_single_file_alone(tmp_path):
    file = network_alone(tiny("stable-diffusion"), tmp_path)
    with pytest.raises(InputError, match=r"'absent', which is no folder with a model_index\.json"):
        loading.load_pipeline(file, config="absent")
    for model in ("emoji-sd", str(tmp_path / "base"), tiny("flux")):
        with pytest.raises(InputError, match="config goes with a single"):
            loading.load_pipeline(model, config=tmp_path / "base")


def test_a_single_file_has_the_weights_of_the_model(tmp_path):
    pipe = tiny("stable-diffusion")
    found = loading.load_pipeline(single_file(pipe, tmp_path))
    for part in ("unet", "vae", "text_encoder"):
        expected, own = (getattr(x, part).state_dict() for x in (pipe, found))
        assert expected.keys() == own.keys()
        assert all(torch.equal(own[key], value) for key, value in expected.items())


VERBS = (
    ("erase", "--concept", "fox"),
    ("generate", "--prompt", "a fox"),
    ("evaluate", "--task", "objects", "--judge", "judge"),
)
KEYS = {
    "stable-diffusion-xl": "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias",
    "stable-diffusion-3": "joint_blocks.0.context_block.adaLN_modulation.1.bias",
    "flux": "double_blocks.0.img_attn.norm.key_norm.scale",
}
"""By which diffusers knows the kind of a single file."""


def absent(folder: Path) -> str:
    return "user/absent"


def partly_cached(folder: Path) -> str:
    cached(tiny("stable-diffusion"), folder)
    shutil.rmtree(folder / "hub" / "models--user--tiny" / "snapshots" / COMMIT / "unet")
    return "user/tiny"


def parts_missing(name: str) -> Callable[[Path], str]:
    """A single file with the network alone, as many are published, beside settings alone."""

    def make(folder: Path) -> str:
        tiny(name).save_pretrained(folder / "single")
        for weights in (folder / "single").rglob("*.safetensors"):
            weights.unlink()
        save_file({KEYS[name]: torch.zeros(4)}, folder / "single" / "model.safetensors")
        return str(folder / "single" / "model.safetensors")

    return make


REFUSED = {"repository that is not there": absent, "repository in part": partly_cached} | {
    f"incomplete single file of {name}": parts_missing(name) for name in KEYS
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_does_not_work_says_why_in_every_verb(form, tmp_path):
    model = REFUSED[form](tmp_path)
    save_classifier(tmp_path / "judge")
    with pytest.raises(InputError, match=model.replace(".", r"\.")) as error:
        loading.load_pipeline(model)
    for verb in VERBS:
        said = " ".join(fails(call(*verb, "--model", model)).split())
        assert " ".join(str(error.value).split()) in said
    assert not Path("out").exists()
