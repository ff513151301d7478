"""A Stable Diffusion pipeline as one file in the layout of the model's own code.

The inverse of what diffusers does to such a file when it loads it, for networks of any depth.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

Rule = tuple[str, str]
RESNET: tuple[Rule, ...] = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
)
UNET: tuple[Rule, ...] = (
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("conv_in", "input_blocks.0.0"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
    ("mid_block.resnets.0", "middle_block.0"),
    ("mid_block.attentions.0", "middle_block.1"),
    ("mid_block.resnets.1", "middle_block.2"),
)
VAE: tuple[Rule, ...] = (
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0", "mid.attn_1"),
    ("downsamplers.0.conv", "downsample.conv"),
    ("upsamplers.0.conv", "upsample.conv"),
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
    ("group_norm", "norm"),
    ("to_q", "q"),
    ("to_k", "k"),
    ("to_v", "v"),
    ("to_out.0", "proj_out"),
)


def _renamed(name: str, rules: tuple[Rule, ...]) -> str:
    for ours, theirs in rules:
        name = re.sub(rf"(^|\.){re.escape(ours)}(?=\.)", rf"\g<1>{theirs}", name)
    return name


def _unet(name: str, layers: int, attends: list[bool]) -> str:
    """The original name of a UNet's parameter.

    ``layers`` are those of a block; ``attends`` says of each block of the way up whether it does.
    """
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name)
    if found is None:
        name = _renamed(name, UNET)
        return (
            _renamed(name, RESNET)
            if name.startswith(("middle_block.0", "middle_block.2"))
            else name
        )
    side, block, kind, layer, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
    number, side_name = block * (layers + 1) + layer, f"{'in' if side == 'down' else 'out'}put"
    number += side == "down"  # the first one is conv_in
    if kind == "resnets":
        return f"{side_name}_blocks.{number}.0.{_renamed(rest, RESNET)}"
    if kind == "attentions":
        return f"{side_name}_blocks.{number}.1.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{rest.removeprefix('conv.')}"
    return f"output_blocks.{block * (layers + 1) + layers}.{1 + attends[block]}.{rest}"


def _vae(name: str, blocks: int) -> str:
    """The original name of a VAE's parameter; the way up counts its blocks backwards."""
    name = re.sub(r"down_blocks\.(\d+)", r"down.\1", name)
    name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{blocks - 1 - int(m[1])}", name)
    return _renamed(name, VAE).replace(".resnets.", ".block.")


def tensors_of(pipe: Any) -> dict[str, Tensor]:
    """The tensors of a single file with the weights of ``pipe``."""
    unet, vae = pipe.unet, pipe.vae
    attends = ["Attn" in kind for kind in unet.config.up_block_types]
    layers, blocks = unet.config.layers_per_block, len(vae.config.up_block_types)
    found = {
        f"model.diffusion_model.{_unet(name, layers, attends)}": tensor
        for name, tensor in unet.state_dict().items()
    }
    for name, tensor in vae.state_dict().items():
        flat = "attentions" in name and tensor.ndim == 2  # convolutions of one pixel there
        found[f"first_stage_model.{_vae(name, blocks)}"] = (
            tensor[..., None, None] if flat else tensor
        )
    for name, tensor in pipe.text_encoder.state_dict().items():
        stem = name.removeprefix("text_model.")
        found[f"cond_stage_model.transformer.text_model.{stem}"] = tensor
    return {name: tensor.contiguous() for name, tensor in found.items()}


def save_single_file(pipe: Any, file: Path) -> Path:
    """Writes ``pipe`` to ``file``, and the settings of its parts, without weights, beside it."""
    pipe.save_pretrained(file.parent)
    for weights in file.parent.rglob("*.safetensors"):
        weights.unlink()
    save_file(tensors_of(pipe), file)
    return file
