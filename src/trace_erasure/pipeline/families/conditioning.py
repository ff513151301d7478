"""What a prompt is to a network: token embeddings, a pooled vector, a number of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

TOKENS, POOLED = "tokens", "pooled"


@dataclass(frozen=True)
class Conditioning:
    """What a prompt is to the denoiser.

    Attributes:
        tokens: (n, positions, width), one row a token, padding included. Where a network hears no
            padding (``Family.padding``), the last token is repeated in its place.
        pooled: (n, pooled width), for families that have a pooled path.
        lengths: (n,) tokens of each prompt, for families whose network tells them from padding.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, index: Any) -> Conditioning:
        return Conditioning(
            self.tokens[index],
            None if self.pooled is None else self.pooled[index],
            None if self.lengths is None else self.lengths[index],
        )

    @property
    def heard(self) -> Tensor:
        """(n, positions) whether a position holds a token of the prompt."""
        import torch

        places = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        if self.lengths is None:
            return torch.ones_like(self.tokens[..., 0], dtype=torch.bool)
        return places < self.lengths[:, None]

    def cut(self, length: int) -> Conditioning:
        """The first ``length`` positions."""
        return Conditioning(self.tokens[:, :length], self.pooled, self.lengths)

    @staticmethod
    def cat(parts: list[Conditioning]) -> Conditioning:
        import torch

        def joined(values: list[Tensor | None]) -> Tensor | None:
            found = [value for value in values if value is not None]
            return torch.cat(found) if found else None

        return Conditioning(
            torch.cat([part.tokens for part in parts]),
            joined([part.pooled for part in parts]),
            joined([part.lengths for part in parts]),
        )


def unpadded(rows: Sequence[Tensor], positions: int, pooled: Tensor | None = None) -> Conditioning:
    """The conditioning of prompts that a network hears without padding.

    Args:
        rows: for each prompt its token embeddings, (length, width).
        positions: that every prompt gets; the last token fills those that are left.
    """
    import torch

    full = [torch.cat([row, row[-1:].expand(positions - len(row), -1)]) for row in rows]
    lengths = torch.tensor([len(row) for row in rows], device=rows[0].device)
    return Conditioning(torch.stack(full), pooled, lengths)


def masked(
    tokens: Tensor, mask: Tensor, positions: int, pooled: Tensor | None = None
) -> Conditioning:
    """``unpadded`` of embeddings (n, …, width) with a mask that is true at a prompt's tokens."""
    rows = [row[: int(own.sum())] for row, own in zip(tokens, mask, strict=True)]
    return unpadded(rows, positions, pooled)
