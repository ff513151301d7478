"""Files are read whole, and draw the same, by today's diffusers and by that of October 2024.

``make test-oldest`` builds an environment with diffusers 0.31 and peft 0.13, and names its
interpreter in ``OLD_PYTHON``; without one only today's diffusers is asked.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from readers import load_loras
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.tools import export_lora
from trace_erasure.concepts.concept import Concept
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing.families import tiny
from trace_erasure.trace.erase import erase

OLD_PYTHON = "TRACE_ERASURE_OLD_PYTHON"
FAMILIES = ("stable-diffusion", "stable-diffusion-xl", "stable-diffusion-3", "flux")
CAPTIONS = [f"a photo of a {word}" for word in ("dog", "painting", "style")]
MADE = {"stage-1": {}, "both-stages": {}, "hardened": {"preset": "hardened"}}
"""Kinds of erasures, and with which options of ``erase`` they are made."""
KEPT_NAMES = {"stable-diffusion-xl": ["lora_unet_label_emb_0_0"]}
"""Layers whose name in the file that ``save`` writes is for newer versions; ``export --for
diffusers`` writes the other."""

pytestmark = pytest.mark.slow


def second_stage(denoiser: Denoiser) -> dict[str, LowRank]:
    """Random factors of rank 2 for the layers that stage 2 trains."""
    draw = torch.Generator().manual_seed(0)
    layers = denoiser.family.linears(denoiser.pipe, denoiser.family.adapters)
    return {
        path: LowRank(
            torch.randn(2, layer.in_features, generator=draw),
            torch.randn(layer.out_features, 2, generator=draw) / 50,
        )
        for path, layer in layers.items()
    }


def prompt(denoiser: Denoiser) -> dict[str, torch.Tensor]:
    """Arguments of a call of the pipeline that take the place of a prompt."""
    found = {"": denoiser.encode(["a photo of a red fox"])}
    if not denoiser.distilled:
        found["negative_"] = denoiser.unconditional()
    named = {
        f"{start}{name}": value
        for start, own in found.items()
        for name, value in (("prompt_embeds", own.tokens), ("pooled_prompt_embeds", own.pooled))
    }
    return {name: value.contiguous() for name, value in named.items() if value is not None}


def write(name: str, folder: Path) -> None:
    """A model, and its erasures as they are saved and as they are exported for diffusers.

    Beside them lies what this package draws with each.
    """
    pipe = tiny(name)
    denoiser = Denoiser(pipe)
    pipe.save_pretrained(folder / "model")
    save_file(prompt(denoiser), folder / "prompt.safetensors")
    call = {"num_inference_steps": 2, "guidance_scale": 3.0, "height": 16, "width": 16, "seed": 3}
    (folder / "call.json").write_text(json.dumps(call))
    for folder_name in ("files", "expected"):
        (folder / folder_name).mkdir()
    fox = Concept("fox", surrogate="horse", templates=("a photo of a red {x}",))
    for kind, options in MADE.items():
        made = erase(pipe, fox, captions=CAPTIONS, **options)
        if kind == "both-stages":
            made = replace(made, finetuned=second_stage(denoiser))
        with made.attach(pipe):
            expected = {"pictures": load_loras.drawn(pipe, folder)}
        made.save(folder / "files" / f"{kind}-saved.safetensors")
        export_lora(made, "diffusers", folder / "files" / f"{kind}-exported.safetensors")
        for way in ("saved", "exported"):
            save_file(expected, folder / "expected" / f"{kind}-{way}.safetensors")
    save_file({"pictures": load_loras.drawn(pipe, folder)}, folder / "base.safetensors")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    folder = tmp_path_factory.mktemp("readers")
    for name in FAMILIES:
        (folder / name).mkdir()
        write(name, folder / name)
    yield folder
    patch.undo()


@pytest.fixture(scope="module", params=["today", "oldest"])
def read(request, written):
    """The folder after a reader has been through it."""
    if request.param == "today":
        load_loras.main(written)
    elif OLD_PYTHON not in os.environ:
        pytest.skip("without an old diffusers; `make test-oldest` builds one")
    else:
        script = Path(load_loras.__file__)
        outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [os.environ[OLD_PYTHON], str(script), str(written)]
        subprocess.run(command, check=True, capture_output=True, env=outside)
    return request.param, written


def pictures(file: Path) -> torch.Tensor:
    return load_file(file)["pictures"]


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("name", FAMILIES)
def test_no_factor_is_dropped_and_pictures_are_the_same(read, name, kind):
    _, folder = read[0], read[1] / name
    base = pictures(folder / "base.safetensors")
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    file = f"{kind}-exported.safetensors"
    assert found[file] == []
    expected = pictures(folder / "expected" / file)
    change = float((expected - base).abs().max())
    assert change > 5e-4
    drawn = pictures(folder / "drawn" / file)
    torch.testing.assert_close(drawn, expected, atol=0.02 * change, rtol=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_save_writes_is_read_whole_but_for_one_name_of_sdxl_in_2024(read, name):
    reader, folder = read[0], read[1] / name
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    lost = KEPT_NAMES.get(name, []) if reader == "oldest" else []
    expected = [f"{layer}.lora_{x}.weight" for layer in lost for x in ("down", "up")]
    for kind in MADE:
        assert found[f"{kind}-saved.safetensors"] == expected


@pytest.mark.parametrize("name", FAMILIES)
def test_a_saved_file_loads_to_an_erasure_again(written, name):
    for file in sorted((written / name / "files").glob("*.safetensors")):
        assert Erasure.load(file).family == name
