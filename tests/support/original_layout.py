"""A pipeline as one file in the layout of the model's own code.

The inverse of what diffusers does to such a file when it loads it, for networks of any depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
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
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
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


def _unet_tensors(unet: Any) -> dict[str, Tensor]:
    attends = ["Attn" in kind for kind in unet.config.up_block_types]
    layers = unet.config.layers_per_block
    state = unet.state_dict()
    return {_unet(name, layers, attends): tensor for name, tensor in state.items()}


SD3: tuple[Rule, ...] = (
    ("pos_embed.proj", "x_embedder.proj"),
    ("pos_embed.pos_embed", "pos_embed"),
    ("time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"),
    ("time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
    ("transformer_blocks", "joint_blocks"),
    ("attn.to_out.0", "x_block.attn.proj"),
    ("attn.to_add_out", "context_block.attn.proj"),
    ("norm1.linear", "x_block.adaLN_modulation.1"),
    ("norm1_context.linear", "context_block.adaLN_modulation.1"),
    ("ff.net.0.proj", "x_block.mlp.fc1"),
    ("ff.net.2", "x_block.mlp.fc2"),
    ("ff_context.net.0.proj", "context_block.mlp.fc1"),
    ("ff_context.net.2", "context_block.mlp.fc2"),
)


def _sd3_tensors(network: Any) -> dict[str, Tensor]:
    """Queries, keys and values lie in one tensor; the last modulations shift before they scale."""
    state, found = network.state_dict(), {}
    last = len(network.transformer_blocks) - 1
    for i in range(last + 1):
        for side, names in (("x", "to_{}"), ("context", "add_{}_proj")):
            for part in ("weight", "bias"):
                own = [
                    state.pop(f"transformer_blocks.{i}.attn.{names.format(x)}.{part}")
                    for x in "qkv"
                ]
                found[f"joint_blocks.{i}.{side}_block.attn.qkv.{part}"] = torch.cat(own)
    swapped = ("norm_out.linear", f"transformer_blocks.{last}.norm1_context.linear")
    for name, tensor in state.items():
        if name.startswith(swapped):
            tensor = torch.cat(tensor.chunk(2)[::-1])
        found[_renamed(f"{name}.", SD3).removesuffix(".")] = tensor
    return found


NETWORKS: dict[str, Callable[[Any], dict[str, Tensor]]] = {
    "UNet2DConditionModel": _unet_tensors,
    "SD3Transformer2DModel": _sd3_tensors,
}
"""Of the classes whose layout diffusers converts at any size; others keep their own names."""


def network_tensors(network: Any) -> dict[str, Tensor]:
    """The tensors of a network, as a file that has it alone, or not, names them."""
    layout = NETWORKS.get(type(network).__name__)
    if layout is None:
        return {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    return {f"model.diffusion_model.{x}": tensor for x, tensor in layout(network).items()}


def vae_tensors(vae: Any) -> dict[str, Tensor]:
    """The tensors of a VAE; its attention has convolutions of one pixel."""
    found = {}
    for name, tensor in vae.state_dict().items():
        flat = "attentions" in name and tensor.ndim == 2
        named = f"first_stage_model.{_vae(name, len(vae.config.up_block_types))}"
        found[named] = tensor[..., None, None] if flat else tensor
    return found


def tensors_of(pipe: Any) -> dict[str, Tensor]:
    """The tensors of a single file with all weights of a Stable Diffusion pipeline."""
    found = {**network_tensors(pipe.unet), **vae_tensors(pipe.vae)}
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
