"""The reweighted ridge: a least-squares edit whose weights even out the errors it leaves.

Notation as in ``closed_form``. Where a prompt has a factor K, K Kᵀ is the second moment of its
columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import Edit, ridge_system
from trace_erasure.math.column_pairs import Pairs, concatenated
from trace_erasure.math.lowrank import LowRank

ORDINARY, ANCHORED, RETAINED, PENALTY = 0.1, 0.3, 3.0, 1e-3
"""Weights beside 1 for all concepts together: α of Σ; as shares of α, those of anchors and of
retained prompts; and λ, as a share of the mean diagonal."""
MOST_SHARING = 8
"""At most so many concepts share the weight 1. Each of more has 1 / MOST_SHARING."""
ROUNDS = 3
"""Rounds of new weights; more change little."""


@dataclass(frozen=True)
class Preserved:
    """What a ridge leaves as it is, each part (d, n) columns of one kind.

    Attributes:
        anchors: what erased prompts turn into, beside the surrogates: the empty prompt.
        alone: the words of a combination where they stand alone.
        retained: a factor K for each prompt.
    """

    anchors: Sequence[Float[Tensor, "d _"]]
    alone: Sequence[Float[Tensor, "d _"]]
    retained: Sequence[Float[Tensor, "d _"]]


def reweighted(
    concepts: Sequence[Sequence[Pairs]],
    rest: Preserved,
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
) -> tuple[list[Pairs], Float[Tensor, "d d"]]:
    """The pairs of a ridge, scaled by their weights, and its prior.

    A ridge minimises a sum, which is smallest where one concept among many, or one neighbour, is
    given up. So each of ``ROUNDS`` rounds multiplies the weight of every concept, and of every
    retained prompt, by the square of its relative error in the last solve, and then scales the
    weights to a mean of 1 (Lawson 1961, for the least maximum). The prior is
    Σ + β (Σᵢ wᵢ Sᵢ Sᵢᵀ + Σ_K K Kᵀ) + γ (Σ_R u_R R Rᵀ + Σ_A A Aᵀ) with β ``ANCHORED``, γ
    ``RETAINED``, w and u the weights over their number, and K, A, R the parts of ``rest``.

    Args:
        concepts: the pairs of every concept.
        rest: what the ridge leaves as it is.
        second_moment: Σ of ordinary embeddings.
        root: G^½.

    Raises:
        ValueError: a concept and its surrogate are the same to all maps.
    """
    fixed = second_moment.clone()
    for parts, share in ((rest.anchors, ANCHORED), (rest.alone, RETAINED)):
        for part in parts:
            fixed.addmm_(part, part.mT, alpha=share)
    moved = [[root @ (one.surrogate - one.concept) for one in own] for own in concepts]
    distances = [_norm(own) for own in moved]
    if not all(distances):
        raise ValueError("concept and surrogate have the same embeddings: nothing to edit")
    sizes = [_norm([root @ part]) for part in rest.retained]
    erased = torch.ones(len(concepts), dtype=torch.float64)
    kept = torch.ones(len(rest.retained), dtype=torch.float64)
    for _ in range(ROUNDS):
        edit = ridge_edit(*_weighted(concepts, rest.retained, erased, kept, fixed))
        change = LowRank(edit.read, root @ edit.shift)
        missed = [
            _norm([change.times(one.concept) - x for one, x in zip(own, to, strict=True)]) / d
            for own, to, d in zip(concepts, moved, distances, strict=True)
        ]
        changed = [
            _norm([change.times(part)]) / size
            for part, size in zip(rest.retained, sizes, strict=True)
        ]
        erased, kept = _raised(erased, missed), _raised(kept, changed)
    return _weighted(concepts, rest.retained, erased, kept, fixed)


def ridge_edit(pairs: Sequence[Pairs], prior: Float[Tensor, "d d"]) -> Edit:
    """The ridge of ``reweighted`` pairs and prior; its rows stand in the order of their columns."""
    c, s = concatenated(pairs)
    factor = linalg.cholesky(ridge_system(c, prior, PENALTY, ORDINARY))
    read = linalg.cholesky_solve(factor, c).mT
    return Edit(s - c, read, 0.0, 0.0)


def _weighted(
    concepts: Sequence[Sequence[Pairs]],
    retained: Sequence[Float[Tensor, "d _"]],
    erased: Float[Tensor, " c"],
    kept: Float[Tensor, " k"],
    fixed: Float[Tensor, "d d"],
) -> tuple[list[Pairs], Float[Tensor, "d d"]]:
    """The pairs and the prior for weights of the concepts, ``erased``, and the retained prompts."""
    shares = [float(x) for x in (erased / min(len(concepts), MOST_SHARING)).unbind()]
    pairs = [x.scaled(share) for own, share in zip(concepts, shares, strict=True) for x in own]
    _, s = concatenated(pairs)
    scales = [float(x) for x in (kept / max(len(retained), 1)).sqrt().unbind()]
    none = fixed[:, :0]
    r = torch.cat([none, *(part * x for part, x in zip(retained, scales, strict=True))], dim=1)
    prior = torch.addmm(fixed, s, s.mT, alpha=ANCHORED).addmm_(r, r.mT, alpha=RETAINED)
    return pairs, prior


def _norm(parts: Sequence[Float[Tensor, "o _"]]) -> float:
    """The Frobenius norm of all parts together."""
    return sum(float(part.square().sum()) for part in parts) ** 0.5


def _raised(weights: Float[Tensor, " n"], errors: Sequence[float]) -> Float[Tensor, " n"]:
    """``weights`` times the squared ``errors``, scaled to a mean of 1."""
    found = weights * torch.tensor(errors, dtype=torch.float64).square()
    total = found.sum()
    return found * len(found) / total if total > 0 else weights
