"""A device that is not the CPU, for machines without one: data lie on the CPU, under another name.

Operations on tensors of two devices fail as they do on a GPU. Importing this module registers the
device ``NAME`` for good, so that tests that use it run in a process of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretend"
MIXED = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
"""Besides copies: operations whose indices may be on the CPU."""
FROM_LISTS = (torch.tensor, torch.as_tensor, torch.arange, torch.linspace)


class Elsewhere(Tensor):
    """A tensor on the device; ``data_here`` are its numbers."""

    data_here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            here.size(),
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(NAME, 0),
        )
        made.data_here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def here(value: Any) -> Any:
    return value.data_here if isinstance(value, Elsewhere) else value


def there(value: Any) -> Any:
    plain = isinstance(value, Tensor) and not isinstance(value, Elsewhere)
    return Elsewhere(value) if plain else value


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """One operation, on the numbers, with its results where a GPU would have them."""
    name, leaves = func._schema.name, tree_leaves((args, kwargs))
    elsewhere = any(isinstance(x, Elsewhere) for x in leaves)
    on_cpu = [
        x for x in leaves if isinstance(x, Tensor) and not isinstance(x, Elsewhere) and x.ndim
    ]
    indexed = name in MIXED and isinstance(args[0], Elsewhere)
    if elsewhere and on_cpu and not (indexed or name in ("aten::copy_", "aten::_to_copy")):
        raise RuntimeError(f"{name}: tensors on {NAME} and on the CPU")
    if name == "aten::copy_":
        here(args[0]).copy_(here(args[1]))
        return args[0]
    device = kwargs.get("device")
    known = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    if device is not None:
        known["device"] = "cpu"
        elsewhere = torch.device(device).type == NAME
    result = func(*tree_map(here, args), **tree_map(here, known))
    if name in ("aten::_local_scalar_dense", "aten::equal", "aten::is_nonzero") or not elsewhere:
        return result
    if name == "aten::_to_copy" and any(result is x for x in leaves):
        result = result.clone()
    changed = [
        value
        for value, argument in zip(args, func._schema.arguments, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    if changed and isinstance(result, Tensor):
        return changed[0]
    return tree_map(there, result)


class Lists(TorchFunctionMode):
    """Makes tensors from lists on the CPU first, which torch does below the dispatcher."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        device = kwargs.get("device")
        if func in FROM_LISTS and device is not None and torch.device(device).type == NAME:
            del kwargs["device"]
            return func(*args, **kwargs).to(device)
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return torch.tensor(args[1], dtype=kwargs.get("dtype", args[0].dtype)).to(NAME)
        if func in (Tensor.__getitem__, Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            index = tuple(torch.tensor(x) if isinstance(x, list) else x for x in index)
            args = (args[0], index, *args[2:])
        return func(*args, **kwargs)


_setup_privateuseone_for_python_backend(NAME)
LIBRARY = torch.library.Library("_", "IMPL")  # its registrations go with it
LIBRARY.fallback(lambda func, *args, **kwargs: run(func, args, kwargs), "PrivateUse1")
