"""The technique that eval-unlearn finds by its entry point."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import fingerprint
from trace_erasure.testing import tiny_stable_diffusion

SHORT: dict[str, Any] = dict(num_inference_steps=2, guidance_scale=2.0)


@pytest.fixture(scope="module")
def technique():
    file = Path(__file__).parents[1] / "pyproject.toml"
    points = tomllib.loads(file.read_text("utf-8"))["project"]["entry-points"]
    module, name = points["eval_unlearn.techniques"]["trace"].split(":")
    return getattr(importlib.import_module(module), name)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    pipe = tiny_stable_diffusion()
    pipe.save_pretrained(folder / "model")
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    change = {
        path: LowRank(draw(2, linear.in_features), draw(linear.out_features, 2))
        for path, linear in Denoiser(pipe).maps().items()
    }
    record: Any = {}
    Erasure("stable-diffusion", fingerprint(pipe), change, {}, record).save(folder / "erasure")
    return folder


def test_it_draws_with_the_erasure_whatever_the_batches(technique, files):
    options = dict(model_id=str(files / "model"), **SHORT)
    make = lambda: technique(load_path=str(files / "erasure.safetensors"), **options)  # noqa: E731
    prompts = ["a fox", "a cat", "a fox"]
    together = make().generate(prompts=prompts, seed=3)
    assert [image.size for image in together] == [together[0].size] * 3
    assert not np.array_equal(together[0], together[2])  # asked again: another picture
    one = make()
    for image, prompt in zip(together, prompts, strict=True):
        alone = one.generate(prompts=[prompt], seed=3)[0]
        assert np.abs(np.asarray(image, int) - np.asarray(alone, int)).max() <= 1
    plain = make()
    plain.pipe.unet.disable_adapters()
    assert not np.array_equal(plain.generate(["a fox"], 3)[0], together[0])


@pytest.mark.slow
def test_a_list_of_concepts_is_erased_together(technique, files, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = str(files / "model")
    both = technique(model_id=model, erase_concept=["fox", "horse", "fox"], surrogate="dog",
                     save_path=str(tmp_path / "both"))  # fmt: skip
    saved = Erasure.load(tmp_path / "both.safetensors")
    assert [one.name for one in saved.record.concepts] == ["fox", "horse"]
    attached: Any = both.pipe.unet.get_submodule(next(iter(saved.closed_form)))
    assert attached.active_adapters


@pytest.mark.parametrize("named", [["fox", 3], 3, {"fox": "dog"}])
def test_concepts_that_are_no_texts_are_named(technique, files, named):
    with pytest.raises(InputError, match=r"erase_concept is .*allowed: a concept, or a list"):
        technique(model_id=str(files / "model"), erase_concept=named)


def test_bad_options_are_named(technique, files):
    with pytest.raises(InputError, match="unknown option 'lambda_cfr'"):
        technique(model_id="emoji-sd", lambda_cfr=0.1)
    with pytest.raises(InputError, match="nothing to erase"):
        technique(model_id=str(files / "model"))
