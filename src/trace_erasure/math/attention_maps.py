"""Attention maps as numbers to train on."""

from __future__ import annotations

import torch
from torch import Tensor


def probabilities(query: Tensor, key: Tensor, scale: float) -> Tensor:
    """softmax(scale · q kᵀ) in float32, (batch, heads, queries, keys).

    Args:
        query: (batch, heads, queries, width).
        key: (batch, heads, keys, width).
    """
    return (scale * query.float() @ key.float().mT).softmax(-1)


def masked_norm(attention: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """‖A[rows, columns]‖₂ over batch and heads, a scalar; not squared.

    Args:
        attention: (batch, heads, queries, keys).
        rows: (batch, queries) 0 or 1.
        columns: (batch, keys) 0 or 1.
    """
    kept = attention * rows[:, None, :, None] * columns[:, None, None, :]
    return torch.linalg.vector_norm(kept)  # its gradient at zero is zero, that of a root is not


def row_norms(attention: Tensor, columns: Tensor) -> Tensor:
    """Σ_rows ‖A[row, columns]‖₂ with each norm over batch and heads, a scalar.

    Args:
        attention: (batch, heads, queries, keys).
        columns: (batch, keys) 0 or 1.
    """
    return torch.linalg.vector_norm(attention * columns[:, None, None, :], dim=(0, 1, 3)).sum()


def reverse_contrast(near: Tensor, own: Tensor, others: Tensor, temperature: float) -> Tensor:
    """EraseAnything's reverse self-contrastive loss (Gao et al. 2025, arXiv 2412.20413), a scalar.

    log exp(s(n,u)/τ) − log Σ_{j ∈ {u, i₁…i_K}} exp(s(n,j)/τ) with s the cosine: minimising takes
    the concept's map u away from that of a near word n, relative to unrelated words i.

    Args:
        near: (positions,) n.
        own: (positions,) u.
        others: (K, positions) i.
    """
    candidates = torch.cat([own[None], others])
    similar = torch.cosine_similarity(near[None], candidates, dim=-1) / temperature
    return similar[0] - similar.logsumexp(0)
