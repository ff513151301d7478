"""Attention maps as numbers to train on."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg


def probabilities(
    query: Float[Tensor, "batch heads queries width"],
    key: Float[Tensor, "batch heads keys width"],
    scale: float,
) -> Float[Tensor, "batch heads queries keys"]:
    """softmax(scale · q kᵀ) over the keys, in float32."""
    return (scale * query.float() @ key.float().mT).softmax(-1)


def masked_norm(
    attention: Float[Tensor, "batch heads queries keys"],
    rows: Float[Tensor, "#batch queries"],
    columns: Float[Tensor, "#batch keys"],
) -> Float[Tensor, ""]:
    """‖A[rows, columns]‖₂ over batch and heads, not squared; ``rows`` and ``columns`` are masks."""
    kept = attention * rows[:, None, :, None] * columns[:, None, None, :]
    return linalg.vector_norm(kept)  # its gradient at zero is zero, that of a root is not


def row_norms(
    attention: Float[Tensor, "batch heads queries keys"], columns: Float[Tensor, "#batch keys"]
) -> Float[Tensor, ""]:
    """Σ_rows ‖A[row, columns]‖₂ with each norm over batch and heads; ``columns`` is a mask."""
    return linalg.vector_norm(attention * columns[:, None, None, :], (0, 1, 3)).sum()


def reverse_contrast(
    near: Float[Tensor, " p"],
    own: Float[Tensor, " p"],
    others: Float[Tensor, "k p"],
    temperature: float,
) -> Float[Tensor, ""]:
    """EraseAnything's reverse self-contrastive loss (Gao et al. 2025, arXiv 2412.20413).

    log exp(s(n,u)/τ) − log Σ_{j ∈ {u, i₁…i_K}} exp(s(n,j)/τ) with s the cosine: minimising takes
    the concept's map u away from that of a near word n, relative to unrelated words i.

    Args:
        near: n, over p positions.
        own: u.
        others: i₁…i_K.
        temperature: τ.
    """
    candidates = torch.cat([own[None], others])
    similar = torch.cosine_similarity(near[None], candidates, dim=-1) / temperature
    return similar[0] - similar.logsumexp(0)
