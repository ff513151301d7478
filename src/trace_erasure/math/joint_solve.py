"""Many concepts in one closed-form edit: a joint solve, capacity, cross-talk.

Notation as in ``closed_form``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.math.closed_form import Edit, left_inverse
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.edit_metrics import expected_collateral, output_norm
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import gram
from trace_erasure.math.weighted_ridge import Preserved, reweighted, solved

DIRECTIONS_TRIED = (8, 4, 2, 1)
"""Directions a concept that are tried where none are asked for."""
MOST_CAPACITY = 0.9
"""Share of the dimensions that conditions may use up; beyond it an exact solve shakes the rest."""


@dataclass(frozen=True)
class JointEdit:
    """One edit for several concepts.

    Attributes:
        edit: at full strength; its rows stand concept by concept.
        counts: how many of them each concept has.
        mode: ``equality`` or ``ridge``.
        directions: conditions a concept in equality mode, 0 in ridge mode.
        pairs: what each concept's rows redirect.
    """

    edit: Edit
    counts: tuple[int, ...]
    mode: str
    directions: int
    pairs: tuple[Pairs, ...]

    def at(self, strengths: Sequence[float]) -> Edit:
        """The edit with each concept at its own strength.

        W′c = (1 − s) W c + s W s for a concept's columns: the conditions are linear in the
        strengths, and the coefficients P do not depend on them, so that only shifts are scaled.
        """
        scale = [s for s, n in zip(strengths, self.counts, strict=True) for _ in range(n)]
        return replace(self.edit, shift=self.edit.shift * self.edit.shift.new_tensor(scale))


def joint_equality(
    concepts: Sequence[Pairs],
    keep: Tensor,
    second_moment: Tensor,
    root: Tensor,
    directions: int,
) -> JointEdit:
    """M c = s, M s = s for ``directions`` leading combinations of every concept, and M R = R.

    Where conditions contradict each other, because their columns are dependent, the
    pseudo-inverse gives a compromise. ``root`` is G^½.
    """
    chosen = tuple(pairs.leading(root, directions) for pairs in concepts)
    c = torch.cat([pairs.concept for pairs in chosen], dim=1)
    s = torch.cat([pairs.surrogate for pairs in chosen], dim=1)
    inverse, rank = left_inverse(torch.cat([c, s, keep], dim=1), second_moment)
    edit = Edit(s - c, inverse[: c.shape[1]], 0.0, rank / len(keep))
    return JointEdit(edit, tuple(pairs.count for pairs in chosen), "equality", directions, chosen)


@dataclass(frozen=True)
class RidgeGroup:
    """Concepts, by their numbers, that share a compromise, and what it leaves as it is."""

    concepts: Sequence[int]
    rest: Preserved


def joint_ridge(
    concepts: Sequence[Sequence[Pairs]],
    groups: Sequence[RidgeGroup],
    second_moment: Tensor,
    root: Tensor,
) -> JointEdit:
    """The least-squares compromise, which has no limit to the number of concepts; see
    ``compromise.evened``. Groups are solved apart, and their edits add up."""
    chosen: dict[int, list[tuple[Pairs, Tensor, Tensor]]] = {}
    for group in groups:
        own = [concepts[i] for i in group.concepts]
        pairs, prior = reweighted(own, group.rest, second_moment, root)
        edit, counts = solved(pairs, prior), [one.count for one in pairs]
        rows = zip(pairs, edit.shift.split(counts, 1), edit.read.split(counts), strict=True)
        for i in group.concepts:
            chosen[i] = [next(rows) for _ in concepts[i]]
    parts = [part for i in range(len(concepts)) for part in chosen[i]]
    pairs, shifts, reads = zip(*parts, strict=True)
    edit = Edit(torch.cat(shifts, dim=1), torch.cat(reads), 0.0, 0.0)
    return JointEdit(edit, tuple(one.count for one in pairs), "ridge", 0, pairs)


def capacity_needed(
    concepts: Sequence[Pairs], keep: Tensor, root: Tensor, directions: int
) -> float:
    """Conditions as a share of the dimensions: 2 a direction and one a kept column.

    Counted before any solve, as if none depended on another, so that it is an upper bound.
    """
    count = sum(2 * pairs.leading(root, directions).count for pairs in concepts)
    return (count + keep.shape[1]) / len(keep)


# What a joint edit does, in numbers -------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """One way to solve jointly, and what it does.

    Attributes:
        mode, directions: see ``Joint``.
        needed: share of the dimensions that its conditions ask for; see ``needed``.
        residuals: ‖W′C − WS‖ / ‖W(C − S)‖ for each concept, weighted; 0 exact, 1 no effect.
        collateral: tr[ΔW Σ ΔWᵀ] / tr[W Σ Wᵀ], as in ``expected_collateral``.
        cost: mean squared error on the concepts' columns and on ordinary ones together, as a
            share of how far the concepts' have to move.
    """

    mode: str
    directions: int
    needed: float
    residuals: tuple[float, ...]
    collateral: float
    cost: float


def measure(
    joint: JointEdit,
    concepts: Sequence[Pairs],
    second_moment: Tensor,
    maps_gram: Tensor,
    share: float,
) -> Trial:
    """What ``joint`` does to all columns of ``concepts`` and to ordinary ones."""
    missed, moved = [], []
    for pairs in concepts:
        wrong = joint.edit.apply(pairs.concept) - pairs.surrogate
        missed.append(float(output_norm(wrong, maps_gram).square().sum()))
        right = pairs.surrogate - pairs.concept
        moved.append(float(output_norm(right, maps_gram).square().sum()))
    residuals = tuple((a / max(b, 1e-300)) ** 0.5 for a, b in zip(missed, moved, strict=True))
    collateral = expected_collateral(joint.edit, second_moment, maps_gram)
    spoilt = collateral * float((maps_gram * second_moment).sum())
    cost = (sum(missed) / len(missed) + spoilt) * len(moved) / sum(moved)
    return Trial(joint.mode, joint.directions, share, residuals, collateral, cost)


def solve_jointly(
    concepts: Sequence[Sequence[Pairs]],
    keep: Tensor,
    groups: Sequence[RidgeGroup],
    second_moment: Tensor,
    root: Tensor,
    directions: Sequence[int] = DIRECTIONS_TRIED,
) -> tuple[JointEdit, list[Trial]]:
    """The joint edit that costs least, and every trial that it was chosen among.

    Args:
        concepts: the pairs of every concept.
        keep: (d, r) columns that an equality holds.
        groups: those that share a compromise; every concept is in one.
        root: G^½.
        directions: numbers of conditions a concept to try; none of them is ridge in any case.

    What asks for more than ``ROOM`` of the dimensions is not tried; if nothing is left, the
    answer is the ridge compromise, and its trial says what it misses.
    """
    maps_gram = gram([root])
    pairs = [one for own in concepts for one in own]
    found: list[tuple[JointEdit, Trial]] = []
    for count in directions:
        share = capacity_needed(pairs, keep, root, count)
        if share <= MOST_CAPACITY:
            joint = joint_equality(pairs, keep, second_moment, root, count)
            found.append((joint, measure(joint, pairs, second_moment, maps_gram, share)))
    if not found:
        joint = joint_ridge(concepts, groups, second_moment, root)
        least = capacity_needed(pairs, keep, root, min(directions, default=1))
        found.append((joint, measure(joint, pairs, second_moment, maps_gram, least)))
    best, _ = min(found, key=lambda pair: pair[1].cost)
    return best, [trial for _, trial in found]


def overlap(first: Tensor, second: Tensor, factor: Tensor) -> float:
    """Cosine of the smallest angle between two spans, in the metric Σ⁻¹, 0 to 1.

    ``factor`` is the Cholesky factor of Σ. At 1 a direction belongs to both: one edit cannot send
    it to two places.
    """
    bases = [
        torch.linalg.qr(torch.linalg.solve_triangular(factor, x, upper=False)).Q
        for x in (first, second)
    ]
    return min(1.0, float(torch.linalg.matrix_norm(bases[0].mT @ bases[1], 2)))


# Trained parts side by side ---------------------------------------------------------------


def cross_talk(changes: Mapping[int, LowRank], concepts: Sequence[Tensor]) -> float:
    """Σ_{i≠j} ‖Δᵢ Cⱼ‖²: what the trained part of one concept does to another's columns."""
    return sum(
        float((change.up @ (change.down @ columns)).square().sum())
        for i, change in changes.items()
        for j, columns in enumerate(concepts)
        if i != j
    )


def isolated_down(down: Tensor, own: Tensor, others: Tensor, second_moment: Tensor) -> Tensor:
    """``down`` (r, d) with no effect on ``others`` and the same effect on ``own``.

    The nearest such matrix in tr[(D′ − D) Σ (D′ − D)ᵀ]. Where the columns leave no room, or depend
    on each other, it is the least-squares compromise of the ridge form.
    """
    if others.shape[1] == 0:
        return down
    if own.shape[1] + others.shape[1] <= MOST_CAPACITY * len(own):
        inverse, _ = left_inverse(torch.cat([own, others], dim=1), second_moment)
        return down - (down @ others) @ inverse[own.shape[1] :]
    held = second_moment + own @ own.mT
    return torch.linalg.solve(held + others @ others.mT, held @ down.mT).mT
