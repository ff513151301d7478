"""Many concepts in one closed-form edit: the joint solve, and what it has capacity for.

Notation as in ``closed_form``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import Edit, left_inverse
from trace_erasure.math.column_pairs import Pairs, concatenated
from trace_erasure.math.edit_metrics import EditOutputs
from trace_erasure.math.subspaces import RANK_TOLERANCE
from trace_erasure.math.trial import Trial
from trace_erasure.math.weighted_ridge import Preserved, reweighted, ridge_edit

DIRECTIONS_TRIED = (8, 4, 2, 1)
"""Numbers of directions a concept that are tried where none is given."""
MOST_CAPACITY = 0.9
"""Share of the d dimensions that conditions may use up; more makes a solve ill-conditioned."""


TOGETHER = 16
"""Spans that are compared with all others at once."""


@dataclass(frozen=True)
class JointEdit:
    """One edit for several concepts.

    Attributes:
        edit: at weight 1 a concept; its rows stand concept by concept.
        counts: how many rows each concept has.
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
        """The edit with a strength a of its own for each concept, 0 off and 1 full.

        W′c = (1 − a) W c + a W s for a concept's columns c: the conditions are linear in a, and
        the coefficients P do not depend on it, so that only shifts are scaled.
        """
        scale = [a for a, n in zip(strengths, self.counts, strict=True) for _ in range(n)]
        return replace(self.edit, shift=self.edit.shift * self.edit.shift.new_tensor(scale))


def joint_equality(
    concepts: Sequence[Pairs],
    keep: Float[Tensor, "d n"],
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
    directions: int,
) -> JointEdit:
    """M c = s, M s = s for ``directions`` leading combinations of every concept, and M R = R.

    Where conditions contradict each other, because their columns are dependent, the
    pseudo-inverse gives a compromise. ``root`` is G^½.
    """
    chosen = tuple(pairs.leading(root, directions) for pairs in concepts)
    c, s = concatenated(chosen)
    inverse, rank = left_inverse(torch.cat([c, s, keep], dim=1), second_moment)
    edit = Edit(s - c, inverse[: c.shape[1]], 0.0, rank / len(keep))
    return JointEdit(edit, tuple(pairs.count for pairs in chosen), "equality", directions, chosen)


@dataclass(frozen=True)
class RidgeGroup:
    """Concepts, by their numbers, that share one ridge, and what it leaves as it is."""

    concepts: Sequence[int]
    rest: Preserved


def joint_ridge(
    concepts: Sequence[Sequence[Pairs]],
    groups: Sequence[RidgeGroup],
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
) -> JointEdit:
    """The ``reweighted`` ridge, which has no limit to the number of concepts.

    Groups are solved apart, and their edits add up.
    """
    chosen: dict[int, list[tuple[Pairs, Tensor, Tensor]]] = {}
    for group in groups:
        own = [concepts[i] for i in group.concepts]
        pairs, prior = reweighted(own, group.rest, second_moment, root)
        edit, counts = ridge_edit(pairs, prior), [one.count for one in pairs]
        shifts, reads = torch.split(edit.shift, counts, 1), torch.split(edit.read, counts)
        rows = zip(pairs, shifts, reads, strict=True)
        for i in group.concepts:
            chosen[i] = [next(rows) for _ in concepts[i]]
    parts = [part for i in range(len(concepts)) for part in chosen[i]]
    pairs, shifts, reads = zip(*parts, strict=True)
    edit = Edit(torch.cat(shifts, dim=1), torch.cat(reads), 0.0, 0.0)
    return JointEdit(edit, tuple(one.count for one in pairs), "ridge", 0, pairs)


def _columns_and_rank(pairs: Pairs, root: Float[Tensor, "o d"]) -> tuple[int, int]:
    """How many columns ``pairs`` have, and the rank of W(S − C)."""
    values = linalg.svdvals(root @ (pairs.surrogate - pairs.concept))
    return pairs.count, int((values > RANK_TOLERANCE * values[0]).sum())


def _share_needed(
    sizes: Sequence[tuple[int, int]], keep: Float[Tensor, "d n"], directions: int
) -> float:
    """Conditions of a joint equality as a share of the d dimensions.

    There are two a direction and one a kept column. They are counted as if none depended on
    another, so that the number is an upper bound. ``sizes`` are columns and rank of every pair.
    """
    # As ``Pairs.leading`` chooses: all columns where the directions reach the rank.
    count = sum(2 * (columns if directions >= rank else directions) for columns, rank in sizes)
    return (count + keep.shape[1]) / len(keep)


def measure(
    joint: JointEdit,
    concepts: Sequence[Pairs],
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
    needed: float,
) -> Trial:
    """What ``joint`` does to all columns of ``concepts`` and to ordinary ones."""
    missed: list[float] = []
    moved: list[float] = []
    outputs = EditOutputs(joint.edit, root)
    for pairs in concepts:
        right = root @ (pairs.surrogate - pairs.concept)
        moved.append(float(right.square().sum()))
        missed.append(float((outputs.change.times(pairs.concept) - right).square().sum()))
    residuals = tuple((a / max(b, 1e-300)) ** 0.5 for a, b in zip(missed, moved, strict=True))
    collateral = outputs.expected_collateral(second_moment)
    spoilt = collateral * float((root @ second_moment * root).sum())
    cost = (sum(missed) / len(missed) + spoilt) * len(moved) / sum(moved)
    return Trial(joint.mode, joint.directions, needed, residuals, collateral, cost)


def solve_jointly(
    concepts: Sequence[Sequence[Pairs]],
    keep: Float[Tensor, "d n"],
    groups: Sequence[RidgeGroup],
    second_moment: Float[Tensor, "d d"],
    root: Float[Tensor, "o d"],
    directions: Sequence[int] = DIRECTIONS_TRIED,
) -> tuple[JointEdit, list[Trial]]:
    """The joint edit that costs least, and every trial that it was chosen among.

    Equalities that need more than ``MOST_CAPACITY`` of the dimensions are not tried. If none is
    left, the answer is the joint ridge, and its trial says what it misses.

    Args:
        concepts: the pairs of every concept.
        keep: R, columns that an equality holds.
        groups: those that share one ridge; every concept is in one.
        second_moment: Σ, positive definite.
        root: G^½.
        directions: numbers of conditions a concept to try; with none the answer is the ridge.
    """
    pairs = [one for own in concepts for one in own]
    found: list[tuple[JointEdit, Trial]] = []
    sizes = [_columns_and_rank(one, root) for one in pairs]
    for count in directions:
        share = _share_needed(sizes, keep, count)
        if share <= MOST_CAPACITY:
            joint = joint_equality(pairs, keep, second_moment, root, count)
            found.append((joint, measure(joint, pairs, second_moment, root, share)))
    if not found:
        joint = joint_ridge(concepts, groups, second_moment, root)
        least = _share_needed(sizes, keep, min(directions, default=1))
        found.append((joint, measure(joint, pairs, second_moment, root, least)))
    best, _ = min(found, key=lambda pair: pair[1].cost)
    return best, [trial for _, trial in found]


def overlaps(
    spans: Sequence[Float[Tensor, "d _"]], factor: Float[Tensor, "d d"]
) -> Float[Tensor, "n n"]:
    """Cosine of the smallest angle between every two spans, in the metric Σ⁻¹, 0 to 1.

    ``factor`` is the Cholesky factor of Σ. At 1 a direction belongs to both: one edit cannot send
    it to two places.
    """
    bases = [linalg.qr(linalg.solve_triangular(factor, x, upper=False))[0] for x in spans]
    most = max(basis.shape[1] for basis in bases)
    # Columns of zeros make all as wide, and no angle smaller.
    wide = torch.stack([pad(basis, (0, most - basis.shape[1])) for basis in bases])
    flat = wide.transpose(0, 1).flatten(1)
    found: list[Tensor] = []
    for some in torch.split(wide, TOGETHER):  # n² products do not fit at once for thousands
        cross = (some.mT @ flat).reshape(len(some), most, len(wide), most).transpose(1, 2)
        found.append(linalg.svdvals(cross)[..., 0])
    return torch.cat(found).clamp(max=1.0)
