"""States of a pipeline in which an operation would fail half-way or do nothing, in one table.

Each is looked for before anything is touched, and refused in one sentence that says what to do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from trace_erasure.errors import InputError
from trace_erasure.pipeline.families.registry import family_of

log = logging.getLogger("trace_erasure")

ATTACH, FUSE, MEASURE, PREDICT, TRAIN = "attach", "fuse", "measure", "predict", "train"
"""Operations: add an adapter or change it, copy it into the weights, read weights and prompts, run
the network outside of its pipeline, train."""
COMPILED = "_orig_mod"


@dataclass(frozen=True)
class Condition:
    """One state that stops some operations.

    Attributes:
        name: of the state.
        stops: the operations that it stops.
        found: (network, its pipeline or None) to whether it is in this state.
        message: what the state is, and what to do.
    """

    name: str
    stops: frozenset[str]
    found: Callable[[nn.Module, Any], bool]
    message: str


def _adapter_layers(network: nn.Module) -> Iterator[Any]:
    return (module for module in network.modules() if isinstance(module, BaseTunerLayer))


def _hooks(network: nn.Module) -> set[str]:
    """Names of the diffusers hooks on any of the network's modules."""
    registries = (getattr(module, "_diffusers_hook", None) for module in network.modules())
    return {name for registry in registries if registry is not None for name in registry.hooks}


def _quantised(network: nn.Module, pipe: Any) -> bool:
    return (
        getattr(network, "is_quantized", False)
        or any(type(m).__module__.startswith("torch.ao.nn.quantized") for m in network.modules())
        or any(not p.is_floating_point() and not p.is_complex() for p in network.parameters())
    )


def _fused_projections(network: nn.Module, pipe: Any) -> bool:
    # UNets keep their flag when they are unfused; what runs is the processor.
    processors = getattr(network, "attn_processors", {}).values()
    return any("Fused" in type(processor).__name__ for processor in processors) or any(
        getattr(module, "fused_projections", False) and not isinstance(module, Attention)
        for module in network.modules()
    )


def _ip_adapter(network: nn.Module, pipe: Any) -> bool:
    processors = getattr(network, "attn_processors", {}).values()
    return any("IPAdapter" in type(processor).__name__ for processor in processors)


def _offloaded_whole(network: nn.Module, pipe: Any) -> bool:
    hook = getattr(network, "_hf_hook", None)
    return any(type(one).__name__ == "CpuOffload" for one in (hook, *getattr(hook, "hooks", ())))


EVERY = frozenset((ATTACH, FUSE, MEASURE, TRAIN))
CONDITIONS = (
    Condition(
        "compiled",
        EVERY,
        lambda network, pipe: any(
            COMPILED in path.split(".") for path, _ in network.named_modules()
        ),
        "this pipeline's network is wrapped by torch.compile, which hides its layers. Erase and "
        "attach first and compile then, or give back the network itself (._orig_mod).",
    ),
    Condition(
        "offloaded one by one",
        EVERY,
        lambda network, pipe: any(parameter.is_meta for parameter in network.parameters()),
        "this pipeline's weights are offloaded one by one, where nothing can be attached. "
        "Use pipe.enable_model_cpu_offload() instead of the sequential one.",
    ),
    Condition(
        "offloaded in groups",
        EVERY,
        lambda network, pipe: any("group_offloading" in name for name in _hooks(network)),
        "this pipeline's network is offloaded in groups. Erase and attach before "
        "enable_group_offload, or use pipe.enable_model_cpu_offload() instead.",
    ),
    Condition(
        "offloaded as a whole",
        frozenset((PREDICT, TRAIN)),
        _offloaded_whole,
        "this pipeline's networks are offloaded in turn (enable_model_cpu_offload), so that they "
        "can be neither trained nor run outside of it. Call pipe.remove_all_hooks() first; stage "
        "1, attaching and drawing need not.",
    ),
    Condition(
        "layerwise casting",
        EVERY,
        lambda network, pipe: (
            "layerwise_casting" in _hooks(network)
            or any(p.dtype.itemsize == 1 and p.is_floating_point() for p in network.parameters())
        ),
        "this pipeline's weights are stored in 8 bits (layerwise casting), where a change cannot "
        "be added. Load it in float16, bfloat16 or float32.",
    ),
    Condition(
        "quantised",
        EVERY,
        _quantised,
        "this pipeline's network is quantised, and its weights can be neither read nor changed as "
        "numbers. Load it in float16, bfloat16 or float32.",
    ),
    Condition(
        "fused projections",
        frozenset((ATTACH, FUSE, MEASURE, TRAIN)),
        _fused_projections,
        "this pipeline's query, key and value projections are fused, and a change of the single "
        "ones would have no effect. Call pipe.unfuse_qkv_projections() first.",
    ),
    Condition(
        "adapters switched off",
        frozenset((ATTACH, FUSE)),
        lambda network, pipe: any(layer.disable_adapters for layer in _adapter_layers(network)),
        "the adapters of this pipeline are switched off, and a new one would be too. "
        "Call pipe.enable_lora() first; pipe.set_adapters([]) keeps yours without effect.",
    ),
    Condition(
        "adapter fused",
        frozenset((ATTACH, FUSE)),
        lambda network, pipe: any(layer.merged for layer in _adapter_layers(network)),
        "an adapter of this pipeline is fused, and a change of adapters would have no effect. "
        "Call pipe.unfuse_lora() first, or pipe.unload_lora_weights() to keep it fused.",
    ),
    Condition(
        "DoRA",
        frozenset((FUSE,)),
        lambda network, pipe: any(
            any(getattr(layer, "use_dora", {}).values()) for layer in _adapter_layers(network)
        ),
        "this pipeline has a DoRA adapter, which scales the weights below it, so that a fused "
        "erasure would act otherwise than an attached one. Attach it, or unload the DoRA first.",
    ),
    Condition(
        "IP-Adapter",
        frozenset((MEASURE, TRAIN)),
        _ip_adapter,
        "this pipeline has an IP-Adapter, without whose image the network cannot be run. Call "
        "pipe.unload_ip_adapter() first; the erasure can be attached with it on.",
    ),
    Condition(
        "no text encoder",
        frozenset((MEASURE, TRAIN)),
        lambda network, pipe: pipe is not None and without_text(pipe),
        "this pipeline was loaded without its text encoder or its tokenizer, so that no prompt can "
        "be read. Load it with them.",
    ),
    Condition(
        "inference mode",
        frozenset((TRAIN,)),
        lambda network, pipe: (
            torch.is_inference_mode_enabled() or any(p.is_inference() for p in network.parameters())
        ),
        "nothing can be trained in torch.inference_mode(), or on weights that were loaded in it. "
        "Call this outside it; torch.no_grad() is allowed.",
    ),
)


def check(pipe: Any, *operations: str) -> None:
    """Raises ``InputError`` where ``pipe`` is in a state that stops one of ``operations``."""
    network = family_of(pipe).network(pipe)
    if not isinstance(network, nn.Module):
        raise InputError(
            f"this pipeline was loaded without its {family_of(pipe).denoiser}. Load it with one."
        )
    check_network(network, *operations, pipe=pipe)


def check_network(network: nn.Module, *operations: str, pipe: Any = None) -> None:
    """``check`` where only the network is at hand."""
    for condition in CONDITIONS:
        if condition.stops & set(operations) and condition.found(network, pipe):
            raise InputError(condition.message)


def log_adapters(pipe: Any) -> None:
    """Warns of adapters on the network: an erasure is of the weights below them."""
    names = list(getattr(family_of(pipe).network(pipe), "peft_config", {}))
    if names:
        log.warning(
            "on this pipeline are the adapters %s: the closed form is of the weights below them. "
            "Fuse them first to erase from both.",
            ", ".join(names),
        )


def without_text(pipe: Any) -> bool:
    """Whether ``pipe`` lacks its first text encoder or tokenizer."""
    return getattr(pipe, "text_encoder", None) is None or getattr(pipe, "tokenizer", None) is None
