"""The few columns that one-column methods choose from a prompt's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trace_erasure.concepts.alignment import balance, locate
from trace_erasure.pipeline.denoiser import Denoiser


def last_position(tokenizer: Any, prompt: str) -> int:
    """Of the prompt's last token, special ones aside; of an empty prompt, the first there is."""
    offsets = tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
    return max((i for i, (a, b) in enumerate(offsets) if b > a), default=0)


def last_columns(
    denoiser: Denoiser,
    prompts: Sequence[str],
    stream: str,
    phrases: Sequence[str] | None = None,
) -> list[Tensor]:
    """One column a prompt, for each token segment (d, n), in balanced sizes.

    It is the phrase's last token where ``phrases`` are given, else the last token before EOS. Of
    a pooled vector it is all there is. An empty prompt, or an empty phrase, has its first token.
    """
    parts = denoiser.embeddings(prompts, stream)
    found = []
    sizes = balance(parts)
    segments = denoiser.segments(stream)
    for (tokenizer, length), part, size in zip(segments, parts, sizes, strict=True):
        rows = []
        for i, prompt in enumerate(prompts):
            position = 0
            if tokenizer is not None and phrases is not None and phrases[i] and prompt:
                position = locate(tokenizer, prompt, phrases[i], length).concept[-1]
            elif tokenizer is not None:
                position = last_position(tokenizer, prompt)
            rows.append(size * part[i, position])
        found.append(torch.stack(rows, dim=1))
    return found


def tail_columns(
    denoiser: Denoiser,
    prompt: str,
    guide: str,
    stream: str,
    phrases: tuple[str, str] | None = None,
) -> tuple[Tensor, Tensor]:
    """All columns from the last word of ``prompt`` on, and as many of ``guide``: (d, m) twice.

    ``phrases`` are one of ``prompt`` and one of ``guide``, whose last tokens then begin the tails.
    Every token segment has its own; of a pooled vector it is the one column there is.
    """
    parts = denoiser.embeddings([prompt, guide], stream)
    own, other = [], []
    sizes = balance(parts)
    segments = denoiser.segments(stream)
    for (tokenizer, length), part, size in zip(segments, parts, sizes, strict=True):
        begin, start = 0, 0
        if tokenizer is not None:
            begin, start = (
                locate(tokenizer, text, phrase, length).concept[-1]
                if text and phrase
                else last_position(tokenizer, text)
                for text, phrase in zip((prompt, guide), phrases or ("", ""), strict=True)
            )
        count = part.shape[1] - max(begin, start)
        own.append(size * part[0, begin : begin + count].mT)
        other.append(size * part[1, start : start + count].mT)
    return torch.cat(own, dim=1), torch.cat(other, dim=1)


def all_columns(denoiser: Denoiser, prompts: Sequence[str], stream: str) -> Tensor:
    """All columns of all prompts, padding included, in balanced sizes: (d, n)."""
    parts = denoiser.embeddings(prompts, stream)
    sizes = balance(parts)
    return torch.cat(
        [size * part.flatten(0, 1).mT for part, size in zip(parts, sizes, strict=True)], dim=1
    )


def moment(columns: Tensor) -> Tensor:
    """C Cᵀ / n of (d, n) columns."""
    return columns @ columns.mT / columns.shape[1]
