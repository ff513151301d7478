"""Closed-form adversarial rounds: what regenerates the concept is redirected as well.

The embedding that best brings a concept position c back through the edited maps W′ = W M is

    e* = argmin_e ‖W M e − W c‖² + λ ‖e‖² = (Mᵀ G M + λ I)⁻¹ Mᵀ G c.

RECE (Gong et al. 2024) feeds it to a ridge update; here it joins the columns C, with the surrogate
of its position as its own, and the equality solve is done again.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from trace_erasure.math.closed_form import Edit, equality, leading_pairs
from trace_erasure.math.edit_metrics import expected_collateral, recovery_margin
from trace_erasure.math.subspaces import gram

PENALTY = 1e-3
"""λ relative to the mean diagonal of G: an embedding that is no larger than it needs to be."""
LEAST_RISE = 1.02
"""A round that raises the margin by less than this factor is the last, and is not kept."""
MOST_COST = 2.0
"""Nor is a round kept that takes the expected collateral beyond this factor of the first edit's."""


def adversarial_columns(
    edit: Edit, concept: Tensor, maps_gram: Tensor, penalty: float = PENALTY
) -> Tensor:
    """The embeddings e* for every column of ``concept``, (d, m)."""
    matrix = edit.matrix()
    heard = matrix.mT @ maps_gram
    system = heard @ matrix
    ridge = penalty * maps_gram.diagonal().mean()
    eye = torch.eye(len(system), dtype=system.dtype)
    return torch.linalg.solve(system + ridge * eye, heard @ concept)


def harden(
    edit: Edit,
    concept: Tensor,
    surrogate: Tensor,
    keep: Tensor,
    second_moment: Tensor,
    root: Tensor,
    *,
    redirected: tuple[Tensor, Tensor],
    weights: Tensor | None,
    rounds: int,
    added: int,
) -> tuple[Edit, list[float]]:
    """Adversarial rounds on ``edit``, the ``equality`` edit of the ``redirected`` columns.

    Each round attacks all concept columns at once and redirects the ``added`` leading directions
    of what it found. Stops when the recovery margin stops rising, or at the price of ``COST``.

    Returns:
        The edit, and the margin before the first round and after each that was kept.
    """
    maps_gram = gram([root])
    columns, targets = ([part] for part in redirected)
    margins = [recovery_margin(edit, concept, surrogate, root)]
    affordable = MOST_COST * expected_collateral(edit, second_moment, maps_gram)
    for _ in range(rounds):
        found = adversarial_columns(edit, concept, maps_gram)
        c, s, _ = leading_pairs(found, surrogate, root, added, weights)
        columns.append(c)
        targets.append(s)
        solved = equality(
            torch.cat(columns, dim=1), torch.cat(targets, dim=1), keep, second_moment, root
        )
        margin = recovery_margin(solved, concept, surrogate, root)
        spent = expected_collateral(solved, second_moment, maps_gram)
        if margin < LEAST_RISE * margins[-1] or spent > affordable:
            break
        edit = replace(solved, discarded=edit.discarded)
        margins.append(margin)
    return edit, margins
