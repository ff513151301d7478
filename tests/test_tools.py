"""Exports by the tool that reads them: golden keys, round trips, and what a tool cannot carry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.loaders import lora_conversion_utils
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.merged_file import write_merged
from trace_erasure.artifact.original_names import ORIGINAL, Place
from trace_erasure.artifact.tools import TOOLS, export_lora, spelling_of
from trace_erasure.cli import app
from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.families.registry import FAMILIES, family_of
from trace_erasure.testing import CAPTIONS
from trace_erasure.testing.families import tiny
from trace_erasure.trace.erase import erase

POOLED = "time_text_embed.text_embedder.linear_1"
ADDED = "transformer_blocks.0.attn.add_k_proj"
MADE = {
    "stable-diffusion": (),
    "stable-diffusion-xl": (),
    "stable-diffusion-3": (ADDED,),
    "flux": (ADDED,),
}
"""Families whose files are compared key by key, and the layers of a second stage."""
ATTENTION = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
DOTTED = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
KOHYA = (f"lora_unet_{ATTENTION}.alpha", f"lora_unet_{ATTENTION}.lora_down.weight")
LABEL = "lora_unet_label_emb_0_0.lora_up.weight"
FLOW = tuple(f"transformer.{p}.lora_A.weight" for p in ("context_embedder", POOLED, ADDED))
GOLDEN: dict[tuple[str, str], tuple[str, ...]] = {
    ("diffusers", "stable-diffusion"): (f"unet.{DOTTED}.lora_A.weight",),
    ("diffusers", "stable-diffusion-xl"): (
        f"unet.{DOTTED}.lora_A.weight",
        "unet.add_embedding.linear_1.lora_B.weight",
    ),
    ("diffusers", "stable-diffusion-3"): FLOW,
    ("diffusers", "flux"): FLOW,
    ("comfyui", "stable-diffusion"): KOHYA,
    ("comfyui", "stable-diffusion-xl"): (*KOHYA, LABEL),
    ("comfyui", "stable-diffusion-3"): FLOW,
    ("comfyui", "flux"): FLOW,
    ("a1111", "stable-diffusion"): KOHYA,
    ("a1111", "stable-diffusion-xl"): (*KOHYA, LABEL),
    ("invokeai", "stable-diffusion"): KOHYA,
    ("invokeai", "stable-diffusion-xl"): (
        *KOHYA,
        "lora_unet_add_embedding_linear_1.lora_up.weight",
    ),
    ("invokeai", "flux"): (
        *FLOW,
        *(
            f"transformer.{p}.lora_{x}.weight"
            for p in (
                "single_transformer_blocks.0.attn.to_q",
                "transformer_blocks.0.attn.add_q_proj",
                "transformer_blocks.0.attn.add_v_proj",
            )
            for x in "AB"
        ),
    ),
    ("peft", "stable-diffusion"): (f"base_model.model.{DOTTED}.lora_A.weight",),
    ("peft", "stable-diffusion-xl"): ("base_model.model.add_embedding.linear_1.lora_A.weight",),
    ("peft", "stable-diffusion-3"): ("base_model.model.context_embedder.lora_A.weight",),
    ("peft", "flux"): ("base_model.model.context_embedder.lora_A.weight",),
}


def make(name: str) -> tuple[Any, Erasure]:
    """A tiny pipeline and an erasure on it, with a second stage of random factors."""
    pipe = tiny(name)
    fox = Concept("fox", surrogate="horse", templates=("a {x}",))
    erasure = erase(pipe, fox, finetune=None, captions=CAPTIONS)
    generator = torch.Generator().manual_seed(0)
    network: Any = family_of(pipe).network(pipe)
    second = {}
    for path in MADE[name]:
        layer = network.get_submodule(path)
        down = torch.randn(2, layer.in_features, generator=generator)
        second[path] = LowRank(down, torch.randn(layer.out_features, 2, generator=generator) / 50)
    return pipe, replace(erasure, finetuned=second)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    yield {name: make(name) for name in MADE}
    patch.undo()


def picture(pipe: Any) -> torch.Tensor:
    family = family_of(pipe)
    generator = torch.Generator().manual_seed(3)
    answer = pipe(
        prompt=["a fox"], num_inference_steps=2, height=16, width=16, output_type="np",
        generator=generator, **family.guided_by(3.0, 1), **family.call_options(pipe),
    )  # fmt: skip
    return torch.as_tensor(answer.images[0])


@pytest.mark.parametrize(("tool", "family"), GOLDEN)
def test_an_export_has_the_names_that_its_reader_knows(made, tmp_path, tool, family):
    _, erasure = made[family]
    written = export_lora(erasure, tool, tmp_path / "out")
    file = written / "adapter_model.safetensors" if tool == "peft" else written
    with safe_open(file, framework="pt") as opened:
        keys = set(opened.keys())
    assert set(GOLDEN[tool, family]) <= keys
    again = Erasure.load(file)
    assert again.name == erasure.name and set(again.finetuned) == set(erasure.finetuned)


@pytest.mark.parametrize("family", MADE)
def test_diffusers_draws_the_same_from_its_export(made, tmp_path, family):
    pipe, erasure = made[family]
    with erasure.attach(pipe):
        expected = picture(pipe)
    assert (expected - picture(pipe)).abs().max() > 1e-4
    other = tiny(family)
    written = export_lora(erasure, "diffusers", tmp_path / "out")
    other.load_lora_weights(tmp_path, weight_name=written.name)
    torch.testing.assert_close(picture(other), expected, atol=1e-5, rtol=0)


def test_peft_loads_its_folder_onto_the_network(made, tmp_path):
    pipe, erasure = made["flux"]
    folder = export_lora(erasure, "peft", tmp_path / "out")
    other = tiny("flux")
    loaded: Any = PeftModel.from_pretrained(other.transformer, folder)
    merged = loaded.merge_and_unload()
    fused = erasure.fuse(pipe)
    for path in erasure.delta:
        torch.testing.assert_close(
            merged.get_submodule(path).weight, fused.transformer.get_submodule(path).weight
        )


def test_invokeai_takes_flux_with_whole_blocks_and_no_change_from_the_filling(made, tmp_path):
    _, erasure = made["flux"]
    tensors = load_file(export_lora(erasure, "invokeai", tmp_path / "out"))
    added = {key for key in tensors if "add_q_proj" in key or "single_transformer" in key}
    assert added and not any(tensors[key].any() for key in added)
    assert all(key.endswith(("lora_A.weight", "lora_B.weight")) for key in tensors)


def test_invokeai_takes_sdxl_without_names_of_the_original_code(made, tmp_path):
    _, erasure = made["stable-diffusion-xl"]
    tensors = load_file(export_lora(erasure, "invokeai", tmp_path / "out"))
    original = ("input_blocks", "middle_block", "output_blocks", "label_emb", "time_embed")
    assert not any(key.removeprefix("lora_unet_").startswith(original) for key in tensors)


def test_what_a_tool_cannot_carry_is_said_with_the_way_out():
    families = {family.name for family in FAMILIES}
    assert all(set(tool.spelling) <= families for tool in TOOLS.values())
    for tool, family in (("a1111", "flux"), ("diffusers", "pixart-sigma"), ("comfyui", "sana")):
        with pytest.raises(InputError, match=rf"{tool} cannot read .*{family}: .*--for checkpoint"):
            spelling_of(tool, family)


# Single files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "down_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k",
        "mid_block.attentions.0.transformer_blocks.0.attn2.to_v",
        "up_blocks.0.attentions.2.transformer_blocks.1.attn2.to_k",
    ],
)
def test_unet_layers_are_where_diffusers_own_code_looks_for_them(path):
    place = ORIGINAL["stable-diffusion-xl"](path)
    assert place is not None
    stem = place.key.removesuffix(".weight").replace(".", "_")
    config = type("Config", (), {"layers_per_block": 2})()
    state = {f"lora_unet_{stem}.lora_down.weight": torch.zeros(1)}
    (found,) = lora_conversion_utils._maybe_map_sgm_blocks_to_diffusers(state, config)
    own = f"lora_unet_{path.replace('.', '_')}.lora_down.weight"
    name = lora_conversion_utils._convert_unet_lora_key
    assert name(found) == name(own)


def test_a_merged_file_has_the_change_in_its_places_and_nowhere_else(tmp_path):
    text = 8
    source, target = tmp_path / "model.safetensors", tmp_path / "merged.safetensors"
    plain = {"txt_in.weight": (64, text), "double_blocks.0.txt_attn.qkv.weight": (192, 64)}
    generator = torch.Generator().manual_seed(0)
    tensors = {k: torch.randn(shape, generator=generator) for k, shape in plain.items()}
    save_file({f"model.diffusion_model.{k}": t for k, t in tensors.items()}, source)
    delta = {
        "context_embedder": LowRank(torch.randn(1, text), torch.randn(64, 1)),
        "transformer_blocks.0.attn.add_v_proj": LowRank(torch.randn(2, 64), torch.randn(64, 2)),
    }
    write_merged(delta, "flux", source, target)
    found = {k.removeprefix("model.diffusion_model."): t for k, t in load_file(target).items()}
    expected = tensors["txt_in.weight"] + delta["context_embedder"].dense()
    torch.testing.assert_close(found["txt_in.weight"], expected)
    before, after = (x["double_blocks.0.txt_attn.qkv.weight"].chunk(3) for x in (tensors, found))
    value = delta["transformer_blocks.0.attn.add_v_proj"].dense()
    for i, own in enumerate((0, 0, value)):
        torch.testing.assert_close(after[i], before[i] + own)


@pytest.mark.parametrize(
    ("family", "path", "place"),
    [
        ("stable-diffusion-xl", "add_embedding.linear_1", Place("label_emb.0.0.weight")),
        ("flux", "context_embedder", Place("txt_in.weight")),
        ("flux", POOLED, Place("vector_in.in_layer.weight")),
        ("flux", ADDED, Place("double_blocks.0.txt_attn.qkv.weight", 1)),
        ("flux-2", "context_embedder", Place("txt_in.weight")),
        ("stable-diffusion-3", "context_embedder", Place("context_embedder.weight")),
        ("stable-diffusion-3", POOLED, Place("y_embedder.mlp.0.weight")),
        ("stable-diffusion-3", ADDED, Place("joint_blocks.0.context_block.attn.qkv.weight", 1)),
        ("flux", "single_transformer_blocks.0.proj_mlp", None),
    ],
)
def test_places_in_the_original_layouts(family, path, place):
    assert ORIGINAL[family](path) == place


@pytest.mark.parametrize("family", ["sana", "flux"])
def test_a_checkpoint_without_the_layers_is_refused_and_nothing_written(tmp_path, family):
    source, target = tmp_path / "model.safetensors", tmp_path / "merged.safetensors"
    save_file({"other": torch.zeros(1)}, source)
    delta = {"context_embedder": LowRank(torch.zeros(1, 4), torch.zeros(4, 1))}
    with pytest.raises(InputError, match="--for checkpoint"):
        write_merged(delta, family, source, target)
    assert not target.exists()


# The command ------------------------------------------------------------------------------


def test_export_on_the_command_line(made, tmp_path):
    pipe, erasure = made["stable-diffusion"]
    file = erasure.save(tmp_path / "fox")
    call = CliRunner().invoke
    done = call(app, ["export", str(file), "--for", "a1111", "--quiet"])
    assert done.exit_code == 0, done.output
    assert load_file(tmp_path / "fox-a1111.safetensors").keys() == load_file(file).keys()
    pipe.save_pretrained(tmp_path / "base")
    args = ["export", str(file), "--for", "checkpoint", "--model", str(tmp_path / "base")]
    done = call(app, [*args, "--out", str(tmp_path / "merged"), "--quiet"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "merged" / "model_index.json").exists()
    assert call(app, ["export", str(file), "--for", "checkpoint"]).exit_code == 2
    assert call(app, ["export", str(file), "--model", "emoji-sd"]).exit_code == 2
