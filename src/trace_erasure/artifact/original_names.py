"""Layers of diffusers networks as single-file checkpoints name them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LAYERS = 2
"""Of each block of the published UNets, from which the numbers of the original blocks follow."""
PREFIXES = ("model.diffusion_model.", "")
"""Before the network's names, in checkpoints of a whole model and of the network alone."""


@dataclass(frozen=True)
class Place:
    """Where a layer's weight is: all of a tensor, or one of three parts of its rows.

    Attributes:
        key: the tensor's name, without a prefix.
        part: 0, 1 or 2 for queries, keys and values that share a tensor; None: all rows.
    """

    key: str
    part: int | None = None


def _unet(path: str) -> Place | None:
    if path == "add_embedding.linear_1":
        return Place("label_emb.0.0.weight")
    found = re.fullmatch(r"(down|up)_blocks\.(\d+)\.attentions\.(\d+)\.(.+)", path)
    if found is None:
        rest = path.removeprefix("mid_block.attentions.0.")
        return None if rest == path else Place(f"middle_block.1.{rest}.weight")
    side, block, layer, rest = found[1], int(found[2]), int(found[3]), found[4]
    number = (LAYERS + 1) * block + layer
    if side == "down":
        return Place(f"input_blocks.{number + 1}.1.{rest}.weight")
    return Place(f"output_blocks.{number}.1.{rest}.weight")


TEXT = ("add_q_proj", "add_k_proj", "add_v_proj")


def _joint(blocks: str, names: Mapping[str, str]) -> Callable[[str], Place | None]:
    """Transformers whose original code has the text's queries, keys and values in one layer."""

    def place(path: str) -> Place | None:
        if path in names:
            return Place(f"{names[path]}.weight")
        found = re.fullmatch(r"transformer_blocks\.(\d+)\.attn\.(add_[qkv]_proj)", path)
        if found is None:
            return None
        return Place(f"{blocks.format(found[1])}.qkv.weight", TEXT.index(found[2]))

    return place


POOLED = "time_text_embed.text_embedder.linear_1"
_FLUX = _joint(
    "double_blocks.{}.txt_attn", {"context_embedder": "txt_in", POOLED: "vector_in.in_layer"}
)
ORIGINAL: Mapping[str, Callable[[str], Place | None]] = {
    "stable-diffusion": _unet,
    "stable-diffusion-xl": _unet,
    "stable-diffusion-3": _joint(
        "joint_blocks.{}.context_block.attn",
        {"context_embedder": "context_embedder", POOLED: "y_embedder.mlp.0"},
    ),
    "flux": _FLUX,
    "flux-2": _FLUX,
    "flux-2-dev": _FLUX,
    "chroma": _FLUX,
}
"""A family's name to where its layers are; None for a layer that has no such place."""
