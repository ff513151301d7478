"""The attention of a network to its text, seen while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor, nn

from trace_erasure.math.attention_maps import probabilities
from trace_erasure.pipeline.denoiser import Denoiser


@contextmanager
def record_attention(denoiser: Denoiser) -> Iterator[dict[str, Tensor]]:
    """Within it every run of the network leaves its attention to text in the dictionary.

    By module path, (batch, heads, image positions, text positions), with gradients. What image
    positions attend to in joint attention besides, other image positions, is left out after the
    softmax. The network's own output is not touched.
    """
    found: dict[str, Tensor] = {}
    attention = denoiser.family.attention
    read = _joint if attention.joint else _cross

    def watching(path: str) -> Callable[..., None]:
        def watch(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            found[path] = read(module, hidden, kwargs)

        return watch

    handles = [
        module.register_forward_pre_hook(watching(path), with_kwargs=True)
        for path, module in denoiser.network.named_modules()
        if attention.modules.fullmatch(path)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _heads(values: Tensor, heads: int) -> Tensor:
    """(batch, positions, heads · width) to (batch, positions, heads, width)."""
    return values.unflatten(-1, (heads, -1))


def _cross(module: Any, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """The image's queries on the prompt's keys."""
    text = kwargs["encoder_hidden_states"]
    query = _heads(module.to_q(hidden), module.heads).transpose(1, 2)
    key = _heads(module.to_k(text), module.heads).transpose(1, 2)
    return probabilities(query, key, module.scale)


def _joint(module: Any, hidden: Tensor, kwargs: dict[str, Any]) -> Tensor:
    """The image's queries on the keys of text and image together; the text's share."""
    text, rotary = kwargs["encoder_hidden_states"], kwargs.get("image_rotary_emb")
    heads = module.to_q(hidden).shape[-1] // module.inner_dim * module.heads

    def normed(name: str, values: Tensor) -> Tensor:
        norm = getattr(module, name, None)
        return values if norm is None else norm(values)

    parts = [
        (module.to_q, "norm_q", hidden),
        (module.add_k_proj, "norm_added_k", text),
        (module.to_k, "norm_k", hidden),
    ]
    query: Any
    key: Any
    query, text_key, key = (normed(norm, _heads(layer(x), heads)) for layer, norm, x in parts)
    key = torch.cat([text_key, key], dim=1)
    if rotary is not None:
        # Positions are those of text and image in one row, text first.
        cosine, sine = rotary
        image: Any = (cosine[text.shape[1] :], sine[text.shape[1] :])
        query = apply_rotary_emb(query, image, sequence_dim=1)
        key = apply_rotary_emb(key, rotary, sequence_dim=1)
    query, key = query.transpose(1, 2), key.transpose(1, 2)
    return probabilities(query, key, query.shape[-1] ** -0.5)[..., : text.shape[1]]
