"""How alike prompts are to the text encoder: by what it says at the end of them.

At its end a text encoder has read the whole prompt, so that a description is near the name that
it stands for, though no word is the same. The network is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import POOLED


def prompt_embeddings(denoiser: Denoiser, prompts: Sequence[str]) -> Tensor:
    """One row a prompt, float64: the pooled vector where there is one, else the last token's."""
    if POOLED in [stream.name for stream in denoiser.family.streams]:
        return torch.cat(denoiser.embeddings(prompts, POOLED), dim=-1)[:, 0]
    (tokenizer, _), *_ = denoiser.segments()
    ends = [len(ids) for ids in tokenizer(list(prompts), verbose=False).input_ids]
    rows = denoiser.embeddings(prompts)[0]
    return torch.stack([row[end - 1] for row, end in zip(rows, ends, strict=True)])


def relative_distances(denoiser: Denoiser, prompts: Sequence[str], own: Sequence[str]) -> Tensor:
    """Between ``prompts`` and each of ``own``, (n, m); the mean of each column is 1."""
    rows = prompt_embeddings(denoiser, [*prompts, *own])
    distance = torch.cdist(rows[: len(prompts)], rows[len(prompts) :])
    return distance / distance.mean(dim=0).clamp_min(torch.finfo(distance.dtype).tiny)
