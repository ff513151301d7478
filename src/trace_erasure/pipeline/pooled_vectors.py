"""Keeps the pooled vectors of prompts: one pass of the text encoders serves both streams."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 2**15
"""Prompts that are kept; those of more are encoded again."""


class PooledVectors:
    """Pooled vectors by their prompt, (pooled width,) each."""

    def __init__(self) -> None:
        self._rows: dict[str, Tensor] = {}

    def keep(self, prompts: Sequence[str], pooled: Tensor) -> None:
        """Keeps the rows of ``pooled``, (n, pooled width), of n prompts."""
        for prompt, row in zip(prompts, pooled, strict=True):
            if len(self._rows) == MOST:
                return
            self._rows.setdefault(prompt, row.clone())  # a view would keep the whole batch

    def of(self, prompts: Sequence[str]) -> Tensor | None:
        """Those of ``prompts``, (n, pooled width); None where one is missing."""
        if not prompts or any(prompt not in self._rows for prompt in prompts):
            return None
        return torch.stack([self._rows[prompt] for prompt in prompts])
