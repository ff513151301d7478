"""What is on a network: its adapters, the layers that carry them, their factors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.registry import family_of


def network_of(target: Any) -> Any:
    """The denoising network of a pipeline or a ``Denoiser``; a network is its own."""
    if isinstance(target, nn.Module):
        return target
    return target.network if isinstance(target, Denoiser) else family_of(target).network(target)


def adapters_on(network: Any) -> dict[str, Any]:
    """Every adapter by its name, with its configuration."""
    return getattr(network, "peft_config", {})


def active_on(network: Any) -> list[str]:
    """Names of the active adapters: diffusers keeps one set for the whole network."""
    if not adapters_on(network):
        return []
    active = network.active_adapters()
    return [active] if isinstance(active, str) else list(active)


def strengths_of(network: nn.Module, name: str) -> dict[str, float]:
    """What each layer multiplies the adapter ``name`` by."""
    return {path: layer.scaling[name] for path, layer in layers_with(network, name)}


def layers_with(network: nn.Module, name: str) -> Iterator[tuple[str, LoraLayer]]:
    """The layers that the adapter ``name`` is on, by module path."""
    for path, module in network.named_modules():
        if isinstance(module, LoraLayer) and name in module.r:
            yield path, module


def linear_at(target: Any, path: str) -> nn.Linear:
    """The linear layer at ``path``, below any adapters. ``InputError`` where there is none."""
    try:
        module = network_of(target).get_submodule(path)
    except AttributeError:
        module = None
    if isinstance(module, BaseTunerLayer):
        module = module.get_base_layer()
    if not isinstance(module, nn.Linear):
        raise InputError(
            f"this network has no linear layer {path!r}. "
            "The change was made for another architecture; use the model it was made for."
        )
    return module


def attached(target: Any, name: str) -> bool:
    """Whether an adapter of this name is on the network."""
    return name in adapters_on(network_of(target))


def factors_of(target: Any, name: str) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """The (down, up) parameters of an adapter, by module path: what a trainer trains."""
    network = network_of(target)
    return {
        path: (
            network.get_parameter(f"{path}.lora_A.{name}.weight"),
            network.get_parameter(f"{path}.lora_B.{name}.weight"),
        )
        for path, _ in layers_with(network, name)
    }


def change_of(target: Any, name: str) -> dict[str, LowRank]:
    """A copy of an adapter's factors as they are now, float32 on the CPU, by module path."""
    return {
        path: LowRank(*(factor.detach().to("cpu", torch.float32, copy=True) for factor in pair))
        for path, pair in factors_of(target, name).items()
    }


def trainable(target: Any, name: str) -> dict[str, torch.Tensor]:
    """The factors of an adapter by name, ``<path>.down`` and ``<path>.up``, open to gradients."""
    return {
        f"{path}.{side}": factor.requires_grad_(True)
        for path, pair in factors_of(target, name).items()
        for side, factor in zip(("down", "up"), pair, strict=True)
    }


def check_attached(network: nn.Module, name: str) -> None:
    """Raises ``InputError`` where there is no such adapter."""
    if name not in adapters_on(network):
        raise InputError(
            f"there is no adapter named {name!r} on this pipeline. Attach it first; "
            f"attached now: {', '.join(adapters_on(network)) or 'none'}."
        )


@contextmanager
def gradient_flags(network: nn.Module) -> Iterator[None]:
    """Keeps ``requires_grad`` of every parameter, which peft sets as it adds and activates."""
    before = {id(parameter): parameter.requires_grad for parameter in network.parameters()}
    try:
        yield
    finally:
        for parameter in network.parameters():
            parameter.requires_grad_(before.get(id(parameter), False))
