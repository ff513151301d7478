"""Bytes of tensors that autograd keeps, or that are alive, counted where there is no memory."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Attention(torch.autograd.Function):
    """Shapes of attention that keeps no matrix of scores."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output)
        return output


def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    return Attention.apply(query, key, value)


def bytes_of(module: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


class Kept:
    """Counts the bytes of what autograd keeps while it is entered, weights left out."""

    def __init__(self, network: nn.Module) -> None:
        self.weights = {p.untyped_storage()._cdata for p in network.parameters()}
        self.tensors: dict[int, Tensor] = {}
        self.total = 0

    def pack(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights and storage._cdata not in self.tensors:
            self.tensors[storage._cdata] = tensor  # held, so that no other gets its address
            self.total += storage.nbytes()
        return tensor


class Live(TorchDispatchMode):
    """Counts the bytes of tensors that are alive, those from before it is entered left out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.known = {p.untyped_storage()._cdata for p in network.parameters()}
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self.known:
                    self.known.add(storage._cdata)
                    self.now += storage.nbytes()
                    weakref.finalize(storage, self.free, storage._cdata, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def free(self, address: int, size: int) -> None:
        self.known.discard(address)
        self.now -= size
