"""The table of families: one row an architecture, nothing else branches on the model's type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trace_erasure.errors import InputError


@dataclass(frozen=True)
class Conditioning:
    """What a prompt is to the denoiser.

    Attributes:
        tokens: (n, positions, width), one row a token, padding included.
        pooled: (n, pooled width), for families that have a pooled path.
    """

    tokens: Tensor
    pooled: Tensor | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, index: Any) -> Conditioning:
        return Conditioning(self.tokens[index], None if self.pooled is None else self.pooled[index])

    @staticmethod
    def cat(parts: list[Conditioning]) -> Conditioning:
        pooled = [part.pooled for part in parts if part.pooled is not None]
        return Conditioning(
            torch.cat([part.tokens for part in parts]), torch.cat(pooled) if pooled else None
        )


@dataclass(frozen=True)
class Family:
    """How one architecture is addressed.

    Attributes:
        name: the field's name for it.
        pipelines: class names of diffusers pipelines that belong here.
        denoiser: the pipeline's attribute that holds the network.
        token_maps: pattern of the linear layers that read token embeddings directly.
        pooled_maps: pattern of the linear layers that read the pooled vector; None without one.
        adapters: pattern of the layers that stage 2 trains by default.
        lora_keys: the key format of exported files, ``kohya`` or ``diffusers``.
        modelspec: architecture identifier in exported files.
        kohya_base: ``ss_base_model_version`` in exported files.
        encode: (pipe, prompts) to Conditioning.
        predict: (pipe, states, timesteps, Conditioning) to the network's output.
        state_shape: (pipe, height, width) to the shape of one state.
    """

    name: str
    pipelines: tuple[str, ...]
    denoiser: str
    token_maps: re.Pattern[str]
    pooled_maps: re.Pattern[str] | None
    adapters: re.Pattern[str]
    lora_keys: str
    modelspec: str
    kohya_base: str
    encode: Callable[[Any, list[str]], Conditioning]
    predict: Callable[[Any, Tensor, Tensor, Conditioning], Tensor]
    state_shape: Callable[[Any, int | None, int | None], tuple[int, ...]]

    def network(self, pipe: Any) -> nn.Module:
        """The denoising network of ``pipe``."""
        return getattr(pipe, self.denoiser)

    def linears(self, pipe: Any, pattern: re.Pattern[str]) -> dict[str, nn.Linear]:
        """Linear layers of the network whose path matches, unwrapped from adapters, in order."""
        found: dict[str, nn.Linear] = {}
        for path, module in self.network(pipe).named_modules():
            if path.endswith(".base_layer"):
                path = path.removesuffix(".base_layer")
            elif hasattr(module, "base_layer"):
                continue
            if isinstance(module, nn.Linear) and pattern.fullmatch(path):
                found[path] = module
        return found


def family_of(pipe: Any) -> Family:
    """The family that ``pipe`` belongs to. Raises ``InputError`` naming the supported ones."""
    from trace_erasure.families import registry

    name = type(pipe).__name__
    for family in registry.FAMILIES:
        if name in family.pipelines:
            return family
    known = ", ".join(sorted(p for family in registry.FAMILIES for p in family.pipelines))
    raise InputError(
        f"{name} is not a supported pipeline. Supported: {known}. "
        "Pass a text-to-image pipeline loaded with diffusers."
    )
