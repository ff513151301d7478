"""The newer families at the true shapes of published models, with random weights.

The true network lies on torch's meta device; its text-facing maps, and the norms before them, alone
have weights. The text encoder is a few thin layers of the true class and width. Widths are those of
the public configurations; where these are the class's own, there is nothing to write.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import (
    AuraFlowTransformer2DModel,
    ChromaTransformer2DModel,
    Flux2Transformer2DModel,
    Kandinsky5Transformer3DModel,
    Lumina2Transformer2DModel,
    PixArtTransformer2DModel,
    QwenImageTransformer2DModel,
    SanaTransformer2DModel,
    WanTransformer3DModel,
    ZImageTransformer2DModel,
)
from torch import nn

from benchmarks.scale.counting import bytes_of
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.testing.families import tiny

GIB = 2**30
MATRICES = 8
"""Of the token embeddings' width, in float64, that the solver holds at once."""
SMALL = (96, 192, 288)
"""Widths at which text encoders are built to learn how their size grows."""
THIN = 64
"""Inner width of the text encoders' perceptrons; that of its output is the true one."""
ROOM = 18 * GIB
"""What a run may need; larger ones are left out, and their row says how much they need."""


@dataclass(frozen=True)
class Shape:
    """A published model's text-facing side.

    Attributes:
        family: its name in the table of families.
        network: the class.
        width: of what the text encoder gives, layers side by side.
        positions: tokens of a prompt.
        config: of the network, where it is not the class's default.
    """

    family: str
    network: Any
    width: int
    positions: int
    config: dict[str, Any] = field(default_factory=dict)


SHAPES = {
    "flux-2-klein": Shape(
        "flux-2",
        Flux2Transformer2DModel,
        7680,
        512,
        {
            "num_layers": 5,
            "num_single_layers": 20,
            "num_attention_heads": 24,
            "joint_attention_dim": 7680,
            "guidance_embeds": False,
        },
    ),
    "flux-2-dev": Shape("flux-2-dev", Flux2Transformer2DModel, 15360, 512),
    "z-image": Shape("z-image", ZImageTransformer2DModel, 2560, 512),
    "qwen-image": Shape("qwen-image", QwenImageTransformer2DModel, 3584, 512),
    "chroma": Shape("chroma", ChromaTransformer2DModel, 4096, 512),
    "sana": Shape("sana", SanaTransformer2DModel, 2304, 300),
    "pixart-sigma": Shape(
        "pixart-sigma", PixArtTransformer2DModel, 4096, 300, {"caption_channels": 4096}
    ),
    "lumina-2": Shape("lumina-2", Lumina2Transformer2DModel, 2304, 256, {"cap_feat_dim": 2304}),
    "aura-flow": Shape("aura-flow", AuraFlowTransformer2DModel, 2048, 256),
    "wan": Shape("wan", WanTransformer3DModel, 4096, 512),
    "kandinsky-5": Shape("kandinsky-5", Kandinsky5Transformer3DModel, 3584, 512),
}
"""By the name in rows."""


def build(shape: Shape, seed: int = 0) -> Any:
    """The pipeline on the CPU in float32, its network but for the text-facing maps on meta."""
    pipe = tiny(shape.family, seed, width=shape.width, positions=shape.positions)
    for part in _encoders(pipe):
        _thinned(part)
    outlined(pipe, shape)
    family = family_of(pipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for stream in family.streams:
            read: list[Any] = [*family.linears(pipe, stream.maps).values()]
            if stream.before:
                read.append(pipe.transformer.get_submodule(stream.before))
            for layer in read:
                _allocated(layer)
    return pipe


def outlined(pipe: Any, shape: Shape) -> None:
    """Puts the true network, without weights, in the place of a tiny pipeline's."""
    with torch.device("meta"):
        network = shape.network.from_config(_config(shape, pipe)).eval()
    pipe.register_modules(transformer=network)


def _config(shape: Shape, pipe: Any) -> dict[str, Any]:
    """The network's configuration, with the pooled vector as wide as the tiny encoder's."""
    pooled = getattr(pipe.transformer.config, "in_text_dim2", None)
    return shape.config if pooled is None else {**shape.config, "in_text_dim2": pooled}


def _allocated(layer: nn.Module) -> None:
    """Gives ``layer`` weights: a linear layer its own kind of them, a norm ones."""
    layer.to_empty(device="cpu")
    if isinstance(layer, nn.Linear):
        layer.reset_parameters()
        return
    for parameter in layer.parameters():
        nn.init.ones_(parameter)


def _thinned(encoder: nn.Module) -> None:
    """Makes the inner width of the perceptrons ``THIN``: its output is as wide as before."""
    for module in [*encoder.modules()]:
        for name, layer in [*module.named_children()]:
            if not isinstance(layer, nn.Linear):
                continue
            inside, outside = layer.in_features, layer.out_features
            if outside == 2 * inside:
                setattr(module, name, nn.Linear(inside, THIN, layer.bias is not None))
            elif inside == 2 * outside:
                setattr(module, name, nn.Linear(THIN, outside, layer.bias is not None))


def needed(shape: Shape) -> int:
    """Bytes that the text encoders and the solver need, about."""
    sizes = [_bytes(tiny(shape.family, width=width)) for width in SMALL]
    weights = np.polyval(np.polyfit(SMALL, sizes, 2), shape.width)  # matrices, rows, the rest
    return int(weights) + MATRICES * 8 * shape.width**2


def _bytes(pipe: Any) -> int:
    """Bytes of the weights of a pipeline's text encoders."""
    return sum(map(bytes_of, _encoders(pipe)))


def _encoders(pipe: Any) -> list[nn.Module]:
    """A pipeline's text encoders."""
    return [part for name, part in pipe.components.items() if name.startswith("text_encoder")]
