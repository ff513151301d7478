"""How the verbs load their model: one set of options, handed to ``load_pipeline``."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.artifacts import make_erasure
from support.cli import call, fails
from trace_erasure import InputError
from trace_erasure.pipeline.loading import load_pipeline
from trace_erasure.testing import tiny_stable_diffusion

OPTIONS = {
    "dtype": "bfloat16",
    "device": "cpu",
    "variant": "fp16",
    "revision": "main",
    "offload": "model",
    "config": Path("base"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tiny_stable_diffusion().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return make_erasure(tiny_stable_diffusion()).save(tmp_path_factory.mktemp("file") / "fox")


@pytest.mark.parametrize(
    "arguments",
    [
        ["erase", "--concept", "fox"],
        ["capacity", "--concept", "fox"],
        ["forecast", "--concept", "fox"],
        ["generate", "--prompt", "a fox"],
        ["merge", "FILE"],
        ["certify", "FILE"],
        ["evaluate", "--task", "objects", "--concept", "fox"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_verb_hands_the_options_on(arguments, file, tmp_path, monkeypatch):
    given = []

    def load(model, **options):
        given.append((model, options))
        raise InputError("stopped here")

    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", load)
    monkeypatch.chdir(tmp_path)
    chosen = [word for name, value in OPTIONS.items() for word in (f"--{name}", str(value))]
    words = [file if word == "FILE" else word for word in arguments]
    assert "stopped here" in fails(call(*words, *chosen))
    assert given == [("emoji-sd", OPTIONS)]


def test_the_dtype_reaches_the_pipeline(model, tmp_path, monkeypatch):
    loaded = []

    def load(*arguments, **options):
        loaded.append(load_pipeline(*arguments, **options))
        return loaded[-1]

    monkeypatch.setattr("trace_erasure.pipeline.loading.load_pipeline", load)
    result = call(
        *("generate", "--prompt", "a fox", "--model", model, "--steps", 1),
        *("--dtype", "bfloat16", "--device", "cpu", "--out", tmp_path),
    )
    assert result.exit_code == 0, result.output
    assert str(loaded[0].unet.dtype) == "torch.bfloat16"
    assert (tmp_path / "01-a-fox-seed0.png").is_file()


@pytest.mark.parametrize(
    "option, value, message",
    [
        ("--dtype", "int8", "dtype 'int8' is not known; allowed: float32, float16, bfloat16"),
        ("--device", "nowhere", "device is 'nowhere'; allowed: cpu, cuda"),
        ("--variant", "fp16", "cannot load the pipeline in"),
        ("--offload", "disk", "attach first and offload then"),
        ("--config", "nowhere", "is no folder with a model_index.json"),
    ],
)
def test_what_cannot_be_is_one_message(option, value, message, model, tmp_path):
    out = tmp_path / "out"
    result = call("generate", "--prompt", "a fox", "--model", model, option, value, "--out", out)
    assert message in fails(result)
    assert not out.exists()
