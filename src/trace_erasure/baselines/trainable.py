"""What baselines train: a LoRA, or every weight of some layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trace_erasure.math.lowrank import LowRank, from_dense
from trace_erasure.pipeline import adapter_layers, adapters
from trace_erasure.pipeline.denoiser import Denoiser


@dataclass(frozen=True)
class TrainableChange:
    """A trainable change of the network.

    Attributes:
        parameters: what is trained, by name; at first they have no effect.
        delta: returns the change as it is now, on the CPU, without layers that it does not change.
    """

    parameters: dict[str, Tensor]
    delta: Callable[[], dict[str, LowRank]]


@contextmanager
def lora(
    denoiser: Denoiser,
    pattern: re.Pattern[str],
    rank: int,
    seed: int,
    *,
    name: str,
    scale: float = 1.0,
    init_std: float | None = None,
) -> Iterator[TrainableChange]:
    """A context with a new LoRA on the layers that match ``pattern``; it is removed at the end.

    Args:
        rank: of every layer's factors.
        seed: of the factor that does not start at zero.
        name: of the adapter.
        scale: alpha over rank, by which the product is multiplied.
        init_std: standard deviation of that factor; None: 1 / √(inputs of the layer).
    """
    generator = torch.Generator().manual_seed(seed)
    fresh = {}
    for path, layer in denoiser.family.linears(denoiser.pipe, pattern).items():
        deviation = layer.in_features**-0.5 if init_std is None else init_std
        down = deviation * torch.randn(rank, layer.in_features, generator=generator)
        fresh[path] = LowRank(down, torch.zeros(layer.out_features, rank))
    adapters.attach(denoiser, fresh, name, scale)
    try:
        parameters = adapter_layers.trainable(denoiser, name)

        def delta() -> dict[str, LowRank]:
            return {
                path: change.scale(scale)
                for path, change in adapter_layers.change_of(denoiser, name).items()
                if bool(change.up.any())
            }

        yield TrainableChange(parameters, delta)
    finally:
        adapters.detach(denoiser, name)


@contextmanager
def dense(denoiser: Denoiser, pattern: re.Pattern[str]) -> Iterator[TrainableChange]:
    """A context in which every weight of the matching layers can be trained.

    The difference to the weight is trained, and its product with the inputs is added to the
    layer's output. Adam takes the same steps for the difference as for the weight, and the weight
    itself stays as it is, bit for bit.
    """
    layers = denoiser.family.linears(denoiser.pipe, pattern)
    changes = {
        path: torch.zeros_like(layer.weight, dtype=torch.float32).requires_grad_(True)
        for path, layer in layers.items()
    }

    def adding(change: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda _, inputs, output: output + F.linear(inputs[0].float(), change).to(output)

    handles = [layers[path].register_forward_hook(adding(x)) for path, x in changes.items()]
    try:
        yield TrainableChange(
            {path: change for path, change in changes.items()},
            lambda: {path: from_dense(x) for path, x in changes.items() if bool(x.any())},
        )
    finally:
        for handle in handles:
            handle.remove()
