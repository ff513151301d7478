"""What other tools read: each with its own names for the same layers, and what it cannot carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trace_erasure.artifact import storage
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline.families.registry import FAMILIES
from trace_erasure.utils.folders import make_folder

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure

UNETS = ("stable-diffusion", "stable-diffusion-xl")
MERGED = "Merge it into a checkpoint: --for checkpoint, or --for single-file."


@dataclass(frozen=True)
class Tool:
    """A tool that reads LoRA files.

    Attributes:
        spelling: family to the spelling that it reads, of ``lora_file.SPELLINGS``.
        others: why it reads no other family, as the end of a sentence.
    """

    spelling: Mapping[str, str]
    others: str


def _all(families: Iterable[str], spelling: str) -> dict[str, str]:
    return dict.fromkeys(families, spelling)


TOOLS: Mapping[str, Tool] = {
    "diffusers": Tool(
        _all((family.name for family in FAMILIES if family.mixin), "diffusers"),
        "diffusers gives its pipelines no LoRA loader",
    ),
    "comfyui": Tool(
        {
            **_all(UNETS, "kohya"),
            **_all(("stable-diffusion-3", "flux", "flux-2", "flux-2-dev", "chroma"), "diffusers"),
            **_all(("z-image", "qwen-image", "aura-flow", "pixart-sigma"), "diffusers"),
            "kandinsky-5": "diffusers",
        },
        "ComfyUI's map of LoRA keys does not name its layers",
    ),
    "a1111": Tool(_all(UNETS, "kohya"), "the WebUI knows LoRA files of UNets only"),
    "invokeai": Tool(
        {
            "stable-diffusion": "kohya",
            "stable-diffusion-xl": "kohya-diffusers",
            "flux": "diffusers",
        },
        "InvokeAI does not recognise LoRA files of its text-facing maps",
    ),
    "peft": Tool(_all((family.name for family in FAMILIES), "peft"), ""),
}
"""Tools by the name that ``export --for`` takes."""
INVOKEAI_ASKS = (
    "single_transformer_blocks.0.attn.to_q",
    "transformer_blocks.0.attn.add_q_proj",
    "transformer_blocks.0.attn.add_k_proj",
    "transformer_blocks.0.attn.add_v_proj",
)
"""By the first two of these InvokeAI tells a LoRA of FLUX.1; a block's three it wants together."""


def spelling_of(tool: str, family: str) -> str:
    """How ``tool`` spells the layers of ``family``.

    Raises ``InputError`` where it cannot carry them, with what does.
    """
    found = TOOLS[tool].spelling.get(family)
    if found is None:
        raise InputError(
            f"{tool} cannot read an erasure of {family}: {TOOLS[tool].others}. {MERGED}"
        )
    return found


def export_lora(erasure: Erasure, tool: str, path: Path) -> Path:
    """Writes ``erasure`` as ``tool`` reads it: a file, for peft a folder; returns its path.

    Raises ``InputError`` where the tool cannot carry it, before anything is written.
    """
    spelling = spelling_of(tool, erasure.family)
    if spelling == "peft":
        return _peft_folder(erasure, path)
    file = storage.with_suffix(path)
    asked = tool == "invokeai" and erasure.family == "flux"
    storage.write(erasure, file, spelling, _invokeai_names(erasure.delta) if asked else {})
    return file


def _invokeai_names(delta: Delta) -> dict[str, LowRank]:
    """Zeros for the layers by which InvokeAI tells a LoRA of FLUX.1, and to fill up its blocks."""
    width = delta["context_embedder"].shape[0]
    blocks = {path.rpartition(".")[0] for path in delta if ".attn.add_" in path}
    names = {*INVOKEAI_ASKS, *(f"{b}.add_{x}_proj" for b in blocks for x in "qkv")} - delta.keys()
    return {path: LowRank(torch.zeros(0, width), torch.zeros(width, 0)) for path in names}


def _peft_folder(erasure: Erasure, folder: Path) -> Path:
    """``adapter_config.json`` and ``adapter_model.safetensors``."""
    from peft import LoraConfig

    delta = erasure.delta
    rank = max(change.rank for change in delta.values())
    make_folder(folder)
    storage.write(erasure, folder / "adapter_model.safetensors", "peft")
    LoraConfig(r=rank, lora_alpha=rank, target_modules=sorted(delta)).save_pretrained(str(folder))
    return folder
