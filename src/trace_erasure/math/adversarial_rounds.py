"""Closed-form adversarial rounds: an edit also redirects what brings the concept back through it.

RECE (Gong et al. 2024, arXiv 2407.12383) finds such embeddings in closed form and feeds them to a
ridge update. TRACE adds them to the concept's columns C, each with the surrogate of its position,
and solves the equality again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import Edit, equality, leading_pairs
from trace_erasure.math.edit_metrics import expected_collateral, recovery_margin
from trace_erasure.math.subspaces import gram

PENALTY = 1e-3
"""λ of a round relative to the mean diagonal of G: it keeps embeddings small."""
LEAST_RISE = 1.02
"""A round that raises the margin by less than this factor is the last, and is not kept."""
MOST_COST = 2.0
"""Nor is a round kept that takes the expected collateral beyond this factor of the first edit's."""


@dataclass(frozen=True)
class Hardening:
    """What the rounds attack and what they must keep; symbols as in ``closed_form.equality``.

    Attributes:
        concept: C, the columns that are attacked.
        surrogate: S, aligned with C.
        keep: R, columns that stay.
        second_moment: Σ.
        root: G^½.
        weights: importance of the concept's columns; None is equal.
    """

    concept: Float[Tensor, "d m"]
    surrogate: Float[Tensor, "d m"]
    keep: Float[Tensor, "d n"]
    second_moment: Float[Tensor, "d d"]
    root: Float[Tensor, "o d"]
    weights: Float[Tensor, " m"] | None = None


def adversarial_columns(
    edit: Edit,
    concept: Float[Tensor, "d m"],
    maps_gram: Float[Tensor, "d d"],
    penalty: float,
) -> Float[Tensor, "d m"]:
    """Embeddings for which the edited maps give what the original ones gave for ``concept``.

    For each column c, argmin_e ‖W M e − W c‖² + λ‖e‖² = (MᵀGM + λI)⁻¹ MᵀG c over all maps at
    once: the regularised attack of RECE. ``penalty`` is λ, ``maps_gram`` is G.
    """
    matrix = edit.matrix()
    back = matrix.mT @ maps_gram
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    return linalg.solve(back @ matrix + penalty * eye, back @ concept)


def harden(
    edit: Edit,
    problem: Hardening,
    *,
    redirected: tuple[Float[Tensor, "d r"], Float[Tensor, "d r"]],
    rounds: int,
    added: int,
) -> tuple[Edit, list[float]]:
    """Adversarial rounds on ``edit``, the ``equality`` edit of the ``redirected`` columns.

    Each round attacks all concept columns at once and redirects the ``added`` leading directions
    of what it found. The rounds stop where the recovery margin stops rising, and at the latest
    where the collateral reaches ``MOST_COST`` times the first edit's.

    Args:
        edit: the edit to harden.
        problem: the columns and metrics of its solve.
        redirected: C and S as ``edit`` redirects them, combined or not.
        rounds: most rounds.
        added: directions that a round adds.

    Returns:
        The edit, and the margin before the first round and after each that was kept.
    """
    concept, surrogate, root = problem.concept, problem.surrogate, problem.root
    maps_gram = gram([root])
    penalty = float(PENALTY * maps_gram.diagonal().mean())
    columns, targets = redirected
    margins = [recovery_margin(edit, concept, surrogate, root)]
    affordable = MOST_COST * expected_collateral(edit, problem.second_moment, root)
    for _ in range(rounds):
        found = adversarial_columns(edit, concept, maps_gram, penalty)
        c, s, _ = leading_pairs(found, surrogate, root, added, problem.weights)
        columns, targets = torch.cat([columns, c], dim=1), torch.cat([targets, s], dim=1)
        solved = equality(columns, targets, problem.keep, problem.second_moment, root)
        margin = recovery_margin(solved, concept, surrogate, root)
        spent = expected_collateral(solved, problem.second_moment, root)
        if margin < LEAST_RISE * margins[-1] or spent > affordable:
            break
        edit = replace(solved, discarded=edit.discarded)
        margins.append(margin)
    return edit, margins
