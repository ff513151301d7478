"""The ComfyUI nodes against stand-ins of the interfaces that they use, and its map of LoRA keys."""

from __future__ import annotations

import importlib.util
import logging
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.testing import CAPTIONS
from trace_erasure.testing.families import tiny
from trace_erasure.trace.erase import erase

FOLDER = Path(__file__).parents[1] / "integrations" / "comfyui"
CLASSES = {"stable-diffusion-xl": "SDXL", "flux": "Flux", "z-image": "Lumina2"}
"""Of ComfyUI's models, for the families that are tried."""
PUBLISHED = {"add_embedding.linear_1": "lora_unet_label_emb_0_0"}
"""Names in ComfyUI's map that do not follow from a UNet's paths in diffusers."""


def key_map(family: str, paths: list[str]) -> dict[str, str]:
    """ComfyUI's map for these layers: kohya's names for UNets, diffusers' for transformers."""
    if family == "stable-diffusion-xl":
        names = {p: f"lora_unet_{p.replace('.', '_')}" for p in paths} | PUBLISHED
        return {names[p]: f"diffusion_model.{p}.weight" for p in paths}
    return {f"transformer.{p}": f"diffusion_model.{p}.weight" for p in paths}


class Model:
    """What a node gets as MODEL: patches on a model of some class."""

    def __init__(self, kind: str, paths: list[str], patches: dict[str, Any] | None = None):
        self.kind, self.paths, self.patches = kind, paths, patches or {}
        self.model = type(kind, (), {"paths": paths})()

    def clone(self) -> Model:
        return Model(self.kind, self.paths, dict(self.patches))

    def add_patches(self, patches: dict[str, Any], strength: float) -> list[str]:
        self.patches |= {key: (strength, change) for key, change in patches.items()}
        return list(patches)


def load_lora(tensors: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """As ComfyUI reads both spellings: the key of a weight to its change."""
    found = {}
    for name, key in names.items():
        down = tensors.get(f"{name}.lora_A.weight", tensors.get(f"{name}.lora_down.weight"))
        up = tensors.get(f"{name}.lora_B.weight", tensors.get(f"{name}.lora_up.weight"))
        if down is not None and up is not None:
            scale = float(tensors[f"{name}.alpha"]) / len(down) if f"{name}.alpha" in tensors else 1
            found[key] = scale * up @ down
    return found


@pytest.fixture
def nodes(monkeypatch, tmp_path):
    """The pack's modules, with stand-ins for what ComfyUI gives to nodes."""
    lora: Any = ModuleType("comfy.lora")
    lora.model_lora_keys_unet = lambda model, names: key_map(
        {kind: family for family, kind in CLASSES.items()}[type(model).__name__], model.paths
    )
    lora.load_lora = load_lora
    comfy: Any = ModuleType("comfy")
    comfy.lora = lora
    paths: Any = ModuleType("folder_paths")
    paths.get_filename_list = lambda kind: sorted(p.name for p in tmp_path.glob("*.safetensors"))
    paths.get_full_path_or_raise = lambda kind, name: str(tmp_path / name)
    for name, module in {"comfy": comfy, "comfy.lora": lora, "folder_paths": paths}.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location(
        "erasure_nodes", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None and spec.loader is not None
    pack = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "erasure_nodes", pack)
    spec.loader.exec_module(pack)
    yield pack.NODE_CLASS_MAPPINGS
    for name in [name for name in sys.modules if name.startswith("erasure_nodes")]:
        del sys.modules[name]


def made(name: str, folder: Path, monkeypatch: Any) -> tuple[Erasure, list[str]]:
    """An erasure on a tiny pipeline, saved to ``folder``, and the paths of the network's layers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    pipe = tiny(name)
    fox = Concept("fox", surrogate="horse", templates=("a {x}",))
    erasure = erase(pipe, fox, finetune=None, captions=CAPTIONS)
    erasure.save(folder / "fox")
    network = family_of(pipe).network(pipe)
    paths = [p for p, m in network.named_modules() if isinstance(m, torch.nn.Linear)]
    return erasure, paths


@pytest.mark.parametrize("name", CLASSES)
def test_a_saved_file_reaches_every_layer_of_its_model(nodes, tmp_path, monkeypatch, caplog, name):
    erasure, paths = made(name, tmp_path, monkeypatch)
    (choices,) = nodes["LoadErasure"].INPUT_TYPES()["required"]["file"]
    assert choices == ["fox.safetensors"]
    with caplog.at_level(logging.INFO):
        answer = nodes["LoadErasure"]().load("fox.safetensors", 0.5)
    loaded, about = answer["result"]
    assert about in caplog.text and name in about and erasure.record.title in about
    model = Model(CLASSES[name], paths)
    (erased,) = nodes["Erase"]().erase(model, loaded)
    assert not model.patches and len(erased.patches) == len(erasure.delta)
    for path, change in erasure.delta.items():
        strength, patch = erased.patches[f"diffusion_model.{path}.weight"]
        assert strength == 0.5
        torch.testing.assert_close(patch, change.dense().float())
    assert "was made for" not in caplog.text


def test_a_verdict_is_shown(nodes, tmp_path, monkeypatch):
    from erasure_nodes.erasure_file import ErasureFile  # type: ignore[import-not-found]

    base = {"pipeline": "FluxPipeline"}
    verdict = {"word": "weak", "why": ["ordinary prompts change"], "advice": ["Retain more."]}
    whole = {"family": "flux", "base": base, "record": {"title": "No fox", "verdict": verdict}}
    lines = ErasureFile("fox", {}, whole).about().splitlines()
    assert lines[-2:] == ["verdict: weak: ordinary prompts change", "Retain more."]


def test_another_model_is_warned_of_and_one_without_the_layers_refused(
    nodes, tmp_path, monkeypatch, caplog
):
    _, paths = made("flux", tmp_path, monkeypatch)
    loaded = nodes["LoadErasure"]().load("fox.safetensors", 1.0)["result"][0]
    nodes["Erase"]().erase(Model("Lumina2", paths), loaded)
    assert "was made for flux, and this model is a Lumina2" in caplog.text
    with pytest.raises(ValueError, match=r"no layer .*the concept would come through"):
        nodes["Erase"]().erase(Model("Flux", ["context_embedder"]), loaded)


def test_any_other_lora_is_refused(nodes, tmp_path):
    save_file({"a.lora_A.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"other\.safetensors is no erasure"):
        nodes["LoadErasure"]().load("other.safetensors", 1.0)


def test_the_pack_is_described_as_its_registry_asks():
    pack = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))
    assert {"name", "version", "license", "urls", "description"} <= pack["project"].keys()
    assert pack["project"]["version"].count(".") == 2
    assert "comfyui" not in pack["project"]["name"].lower()
    assert {"PublisherId", "DisplayName"} <= pack["tool"]["comfy"].keys()
