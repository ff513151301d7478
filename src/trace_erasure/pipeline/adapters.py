"""A change on a network as a peft adapter: put on, turned, taken off, the base left untouched."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from diffusers.loaders import PeftAdapterMixin
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline.adapter_layers import (
    active_on,
    adapters_on,
    change_of,
    check_attached,
    factors_of,
    gradient_flags,
    layers_with,
    linear_at,
    network_of,
    strengths_of,
    trainable,
)
from trace_erasure.pipeline.conditions import ATTACH, check_network
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.strength import check_strength
from trace_erasure.utils.cleanup import surely

OURS = "_trace_erasure_adapters"
"""The network's attribute that holds the names of our adapters on it, while there are any."""
COPY_TOLERANCE = 1e-2
"""Relative difference below which two changes are one; half precision rounds by less."""


def attach(target: Any, delta: Delta, name: str, strength: float = 1.0) -> None:
    """Adds ``delta`` to the denoising network as the adapter ``name``.

    The base weights, their ``requires_grad`` flags and adapters that are already there, active or
    not, stay as they are. The new factors have each layer's own dtype and device, are padded to
    one rank, and do not require gradients.

    Args:
        target: a pipeline, a ``Denoiser`` or its network; so everywhere in this module.
        delta: what to add; at least one module of rank 1 or more.
        name: of the adapter, without dots.
        strength: factor on the change, 0 to 2.

    Raises:
        InputError: for a module that the network lacks or of another shape, a name in use, a
            strength out of range, or a network in a state where the change would have no effect
            (adapters switched off or fused, weights offloaded one by one).
        NonFiniteError: for a change that is not finite in the layer's dtype.
    """
    network = network_of(target)
    check_strength(strength)
    if name in adapters_on(network):
        raise InputError(
            f"an adapter named {name!r} is already on this pipeline. "
            "Use set_strength to change its strength, or detach it first."
        )
    check_network(network, ATTACH)
    _check_foreign_copy(network, delta)
    for path, change in delta.items():
        linear = linear_at(network, path)
        if tuple(linear.weight.shape) != change.shape:
            raise InputError(
                f"the change of {path} is {change.shape[0]}x{change.shape[1]}, but this network's "
                f"layer is {'x'.join(map(str, linear.weight.shape))}. "
                "It was made for a model of another size; use that model."
            )
        factors = change.to(linear.weight.dtype)
        if not (factors.down.isfinite().all() and factors.up.isfinite().all()):
            raise NonFiniteError(f"the change of {path} is not finite in {linear.weight.dtype}.")

    rank = max(change.rank for change in delta.values())
    config = LoraConfig(
        r=rank,
        lora_alpha=rank,
        target_modules="|".join(map(re.escape, delta)),
        init_lora_weights=False,
    )
    _give_adapters(network)
    active = active_on(network)
    try:
        # The factors get random values for a moment; the caller's random stream must not notice.
        with (
            gradient_flags(network),
            torch.random.fork_rng(devices=[]),
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # the user's own
            network.add_adapter(config, name)
            network.set_adapter([*active, name])
        with torch.no_grad():
            for path, (down, up) in factors_of(network, name).items():
                change = delta[path].pad(rank)
                down.copy_(change.down)
                up.copy_(change.up)
        set_strength(network, name, strength)
        network.save_pretrained = MethodType(save_pretrained, network)
        vars(network).setdefault(OURS, set()).add(name)
    except BaseException:
        surely(lambda: _remove(network, name, active))
        raise


def attach_untrained(
    denoiser: Denoiser,
    name: str,
    rank: int,
    generator: torch.Generator,
    layers: Mapping[str, nn.Linear] | None = None,
) -> dict[str, torch.Tensor]:
    """Adds an adapter that is zero in effect to ``layers``, by path; see ``trainable``.

    None: those that the family trains by default.
    """
    if layers is None:
        layers = denoiser.family.linears(denoiser.pipe, denoiser.family.adapters)
    fresh = {}
    for path, layer in layers.items():
        down = torch.randn(rank, layer.in_features, generator=generator) / layer.in_features**0.5
        fresh[path] = LowRank(down, torch.zeros(layer.out_features, rank))
    attach(denoiser, fresh, name)
    return trainable(denoiser, name)


def detach(target: Any, name: str) -> None:
    """Takes the adapter ``name`` off again.

    Layers that no adapter is left on become plain layers again, so that the network's state-dict
    keys are those from before. Raises ``InputError`` where there is no such adapter.
    """
    network = network_of(target)
    check_attached(network, name)
    _check_not_fused(network, name)
    active, delta, strengths = (
        active_on(network),
        change_of(network, name),
        strengths_of(network, name),
    )
    try:
        _remove(network, name, [other for other in active if other != name])
    except BaseException:  # half of the layers may be without it: all of them get it back
        _remove(network, name, [other for other in active if other != name])
        attach(network, delta, name)
        for path, layer in layers_with(network, name):
            layer.set_scale(name, strengths[path])
        with gradient_flags(network):
            network.set_adapter(active)
        raise


def _give_adapters(network: Any) -> None:
    """Lets networks hold adapters to whose class diffusers gives none, PixArt's among them."""
    kind = type(network)
    if not isinstance(network, PeftAdapterMixin):
        # The name stays, by which diffusers saves and loads it.
        space = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
        network.__class__ = type(kind.__name__, (kind, PeftAdapterMixin), space)


def remove(target: Any, name: str) -> None:
    """Takes the adapter ``name`` off if it is on, whatever interrupts it: for the ends of verbs."""
    network = network_of(target)
    if name in adapters_on(network):
        _check_not_fused(network, name)
        active = [other for other in active_on(network) if other != name]
        surely(lambda: _remove(network, name, active))


def _check_not_fused(network: nn.Module, name: str) -> None:
    if any(name in layer.merged_adapters for _, layer in layers_with(network, name)):
        raise InputError(
            f"the adapter {name!r} is fused into the weights, where taking it off would leave it. "
            "Call pipe.unfuse_lora() first."
        )


def _remove(network: Any, name: str, active: list[str]) -> None:
    """Removes what there is of the adapter ``name``, and leaves ``active`` ones active."""
    with gradient_flags(network):
        # Deleting an active adapter makes peft activate another one: switch it off first.
        if name in adapters_on(network):
            network.set_adapter(active)
            network.delete_adapters(name)
    for path, module in list(network.named_modules()):
        if isinstance(module, LoraLayer) and not module.r:
            parent, _, child = path.rpartition(".")
            setattr(network.get_submodule(parent), child, module.base_layer)
    ours = vars(network).get(OURS, set())
    ours.discard(name)
    if not ours:
        for attribute in (OURS, "save_pretrained"):
            vars(network).pop(attribute, None)


def save_pretrained(network: Any, *args: Any, **options: Any) -> None:
    """Stands for the network's own method while an adapter of ours is attached.

    diffusers would write the adapter's layers under names that no loader knows, and the folder
    would load with random weights in their place. Raises ``InputError`` while there are such
    layers, else saves as usual.
    """
    if any(isinstance(module, BaseTunerLayer) for module in network.modules()):
        raise InputError(
            "this network has an erasure attached, and a folder saved now would load with random "
            "weights. Call erasure.detach(pipe) first and save the erasure with erasure.save, or "
            "save erasure.fuse(pipe), which has it in its weights."
        )
    type(network).save_pretrained(network, *args, **options)


def set_strength(target: Any, name: str, strength: float) -> None:
    """Multiplies the change by ``strength``; 0 gives the base model's outputs, bit for bit.

    Also switches the adapter on if another one, loaded later, has switched it off.
    Raises ``InputError`` where there is no such adapter or for a strength out of 0 to 2.
    """
    network = network_of(target)
    check_strength(strength)
    check_attached(network, name)
    check_network(network, ATTACH)
    active, before = active_on(network), strengths_of(network, name)
    try:
        if name not in active:
            with gradient_flags(network):
                network.set_adapter([*active, name])
        for _, layer in layers_with(network, name):
            layer.set_scale(name, strength)
    except BaseException:
        for path, layer in layers_with(network, name):
            layer.set_scale(name, before[path])
        with gradient_flags(network):
            network.set_adapter(active)
        raise


@contextmanager
def switched_off(target: Any, name: str) -> Iterator[None]:
    """Within it the adapter ``name`` has no effect, and others have theirs; it gets its strength
    back. Raises ``InputError`` where there is no such adapter."""
    strength = strength_of(target, name)
    set_strength(target, name, 0.0)
    try:
        yield
    finally:
        set_strength(target, name, strength)


def strength_of(target: Any, name: str) -> float:
    """The strength that the adapter ``name`` acts with: 0 where it is switched off."""
    network = network_of(target)
    check_attached(network, name)
    if name not in active_on(network):
        return 0.0
    _, layer = next(layers_with(network, name))
    return layer.scaling[name]  # alpha equals the rank, so peft's scaling is the strength


def _check_foreign_copy(network: nn.Module, delta: Delta) -> None:
    """Raises ``InputError`` where an adapter of another name is this change already."""
    path, change = max(delta.items(), key=lambda item: item[1].rank)
    layer = network.get_submodule(path) if path in dict(network.named_modules()) else None
    if not isinstance(layer, LoraLayer):
        return
    own = change.dense()
    for name in layer.r:
        if f"{name}.weight" not in dict(layer.lora_A.named_parameters()):
            continue  # an adapter of embeddings, or of another kind
        down = network.get_parameter(f"{path}.lora_A.{name}.weight")
        up = network.get_parameter(f"{path}.lora_B.{name}.weight")
        if (up.shape[0], down.shape[1]) != change.shape:
            continue
        other = (up.detach().float() @ down.detach().float()).cpu() * layer.scaling[name]
        if own.norm() > 0 and (other - own.to(other)).norm() < COPY_TOLERANCE * own.norm():
            raise InputError(
                f"this change is on the pipeline already, as the adapter {name!r}: attached again "
                f"it would act twice. Call pipe.delete_adapters({name!r}) first, or leave it so."
            )


@contextmanager
def frozen(target: Any, *names: str) -> Iterator[None]:
    """Within it the network's own parameters ask for no gradients, so that training is of adapters.

    Whatever happens in it, afterwards every ``requires_grad`` is as before and the adapters called
    ``names`` are off.
    """
    network = network_of(target)
    with gradient_flags(network):
        network.requires_grad_(False)
        try:
            yield
        finally:
            for name in names:
                remove(network, name)
