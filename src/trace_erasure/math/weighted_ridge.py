"""A compromise between concepts and the rest, whose weights even out what it misses and costs.

Notation as in ``closed_form``. Groups of columns K stand for the mean of their prompt: K Kᵀ is
the prompt's second moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.closed_form import Edit, ridge_system
from trace_erasure.math.column_pairs import Pairs

ORDINARY, ANCHORED, RETAINED, PENALTY = 0.1, 0.3, 3.0, 1e-3
"""Beside 1 for all concepts together: α of ordinary language; as shares of it what concepts come
to, surrogates and empty prompt, and what is retained; and λ, a share of the mean diagonal."""
MOST_SHARING = 8
"""From so many concepts on they weigh more than 1 together, each as much as among so many."""
ROUNDS = 3
"""Rounds of new weights; more change little."""


@dataclass(frozen=True)
class Preserved:
    """What a compromise is to leave as it is, each part (d, n) columns of one kind.

    Attributes:
        anchors: what the redirect is wrong without, such as the empty prompt.
        alone: what stays although it resembles a concept.
        retained: one part a prompt.
    """

    anchors: Sequence[Tensor]
    alone: Sequence[Tensor]
    retained: Sequence[Tensor]


def reweighted(
    concepts: Sequence[Sequence[Pairs]], rest: Preserved, second_moment: Tensor, root: Tensor
) -> tuple[list[Pairs], Tensor]:
    """The pairs of a ridge, scaled by their weights, and its prior (d, d).

    A ridge minimises sums, which are smallest where one concept among many is given up, or one
    neighbour. So weights are raised, in ``ROUNDS`` rounds, where the relative error of the last
    solve is above the mean, among concepts and among retained prompts (Lawson's algorithm for the
    least maximum). The prior is Σ + β (Σᵢ wᵢ Sᵢ Sᵢᵀ + Σ_K K Kᵀ) + γ (Σ_R u_R R Rᵀ + Σ_A A Aᵀ), w
    and u being means.

    Args:
        concepts: the pairs of every concept.
        rest: its parts are the K, A and R.
        second_moment: (d, d) Σ, of ordinary language.
        root: G^½.
    """
    fixed = second_moment + sum(ANCHORED * part @ part.mT for part in rest.anchors)
    fixed = fixed + sum(RETAINED * part @ part.mT for part in rest.alone)

    def weighed(missing: Tensor, costing: Tensor) -> tuple[list[Pairs], Tensor]:
        shares = (missing / min(len(concepts), MOST_SHARING)).tolist()
        pairs = [x.scaled(share) for own, share in zip(concepts, shares, strict=True) for x in own]
        _, s = concatenated(pairs)
        kept = _weighted(rest.retained, costing, len(fixed))
        return pairs, fixed + ANCHORED * s @ s.mT + RETAINED * kept @ kept.mT

    moved = [[root @ (one.surrogate - one.concept) for one in own] for own in concepts]
    far = [_length(own) for own in moved]
    heard = [_length([root @ part]) for part in rest.retained]
    missing = torch.ones(len(concepts), dtype=torch.float64)
    costing = torch.ones(len(rest.retained), dtype=torch.float64)
    for _ in range(ROUNDS):
        edit = solved(*weighed(missing, costing))
        read, shift = edit.read, root @ edit.shift
        missed = [
            _length([shift @ (read @ one.concept) - x for one, x in zip(own, to, strict=True)]) / d
            for own, to, d in zip(concepts, moved, far, strict=True)
        ]
        changed = [
            _length([shift @ (read @ part)]) / h
            for part, h in zip(rest.retained, heard, strict=True)
        ]
        missing, costing = _reweighted(missing, missed), _reweighted(costing, changed)
    return weighed(missing, costing)


def solved(pairs: Sequence[Pairs], prior: Tensor) -> Edit:
    """The ridge of ``evened`` pairs and prior; its rows stand in the order of their columns."""
    c, s = concatenated(pairs)
    read = torch.linalg.solve(ridge_system(c, prior, PENALTY, ORDINARY), c).mT
    return Edit(s - c, read, 0.0, 0.0)


def concatenated(pairs: Sequence[Pairs]) -> tuple[Tensor, Tensor]:
    """C and S of all pairs side by side."""
    both = [(one.concept, one.surrogate) for one in pairs]
    c, s = zip(*both, strict=True)
    return torch.cat(c, dim=1), torch.cat(s, dim=1)


def _length(parts: Sequence[Tensor]) -> float:
    return sum(float(part.square().sum()) for part in parts) ** 0.5


def _weighted(parts: Sequence[Tensor], weights: Tensor, d: int) -> Tensor:
    """All columns, (d, n), so that their squares add up to the weighted mean."""
    none = weights.new_zeros(d, 0)
    scale = (weights / max(len(parts), 1)).sqrt().tolist()
    return torch.cat([none, *(part * x for part, x in zip(parts, scale, strict=True))], dim=1)


def _reweighted(weights: Tensor, errors: Sequence[float]) -> Tensor:
    found = weights * torch.tensor(errors, dtype=torch.float64).square()
    total = found.sum()
    return found * len(found) / total if total > 0 else weights
