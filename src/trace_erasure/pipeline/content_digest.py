"""Digests of what a pipeline holds: its weights, how it reads prompts, what the network predicts.

Names of files that are kept on disk are made of these, so that no other model can find them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import diffusers
import torch
import transformers
from peft.tuners.lora import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.fingerprint import tensor_bytes

PATHS = ("_name_or_path", "name_or_path", "tokenizer_file", "vocab_file", "merges_file")
"""Settings that say where something was loaded from."""


def weights_digest(pipe: Any) -> str:
    """Hash of a pipeline's weights as they stand, attached adapters and their strength included.

    Two models can then never share stored pictures by being given the same name.
    """
    digest = hashlib.sha256()
    for name, component in sorted(pipe.components.items()):
        if isinstance(component, nn.Module):
            _add_weights(digest, name, component)
    return digest.hexdigest()[:16]


def text_digest(pipe: Any) -> str:
    """Hash of everything that decides a prompt's embeddings: text encoders, with their adapters,
    and tokenizers."""
    digest = _started(pipe)
    for name, component in sorted(pipe.components.items()):
        if name.startswith("text_encoder") and isinstance(component, nn.Module):
            _add_settings(digest, component)
            _add_weights(digest, name, component)
        elif name.startswith("tokenizer") and component is not None:
            _add_tokenizer(digest, name, component)
    return digest.hexdigest()


def network_digest(pipe: Any) -> str:
    """Hash of everything that decides what the network predicts with adapters off: its weights and
    settings, and the noise schedule."""
    digest = _started(pipe)
    network = family_of(pipe).network(pipe)
    _add_settings(digest, network)
    _add_weights(digest, "network", network, adapters=False)
    digest.update(_json(dict(pipe.scheduler.config)))
    return digest.hexdigest()


def _started(pipe: Any) -> Any:
    """A digest of the pipeline's class and of the libraries that run it."""
    versions = torch.__version__, transformers.__version__, diffusers.__version__
    return hashlib.sha256(f"{type(pipe).__name__} {versions}".encode())


def _add_weights(digest: Any, name: str, module: nn.Module, *, adapters: bool = True) -> None:
    """Adds names, dtypes, shapes and bytes; without ``adapters`` as if there were none."""
    layers = [path for path, part in module.named_modules() if isinstance(part, BaseTunerLayer)]
    for key, tensor in module.state_dict().items():
        if not adapters:
            own = [path for path in layers if key.startswith(f"{path}.")]
            if any(not key.startswith(f"{path}.base_layer.") for path in own):
                continue
            key = key.replace(".base_layer.", ".")
        digest.update(f"{name}.{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor_bytes(tensor))
    for path, part in module.named_modules():
        # An adapter's strength and whether it is on are attributes, not weights.
        if adapters and isinstance(part, LoraLayer):
            state = sorted(part.scaling.items()), part.active_adapters
            digest.update(f"{path} {state} {part.disable_adapters}".encode())


def _add_settings(digest: Any, module: nn.Module) -> None:
    config: Any = getattr(module, "config", {})
    settings = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    digest.update(type(module).__name__.encode() + _json(settings))


def _add_tokenizer(digest: Any, name: str, tokenizer: Any) -> None:
    """Adds the vocabulary, the rules, and the settings with which it was made."""
    digest.update(f"{name} {type(tokenizer).__name__} {tokenizer.model_max_length}".encode())
    digest.update(_json(dict(getattr(tokenizer, "init_kwargs", {}))))
    digest.update(_json(tokenizer.get_vocab()))
    digest.update(str(getattr(tokenizer, "chat_template", None)).encode())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        rules = json.loads(backend.to_str())
        # These are of the last call, not of the tokenizer.
        digest.update(_json({**rules, "truncation": None, "padding": None}))


def _json(settings: dict[str, Any]) -> bytes:
    told = {key: value for key, value in settings.items() if key not in PATHS}
    return json.dumps(told, sort_keys=True, default=str).encode()
