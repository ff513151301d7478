"""What an edit does, in numbers: exact properties of M and W, before any image is made.

``root`` is G^½ of the maps that read the stream, G = Σ_l W_lᵀ W_l, as ``subspaces.gram_root`` gives
it; embeddings are columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from trace_erasure.math import linalg
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.subspaces import NULL_TOLERANCE, RANK_TOLERANCE, span


def output_norm(
    columns: Float[Tensor, "d n"], maps_gram: Float[Tensor, "d d"]
) -> Float[Tensor, " n"]:
    """‖W e‖ = √(eᵀGe) over all maps for each column."""
    return (columns * (maps_gram @ columns)).sum(0).clamp(min=0).sqrt()


@dataclass(frozen=True)
class Redirect:
    """How far an edit takes columns to their surrogates, over all maps.

    Attributes:
        moved: ‖W(s − c)‖ of each column.
        missed: ‖W′c − Ws‖.
    """

    moved: Float[Tensor, " n"]
    missed: Float[Tensor, " n"]

    @classmethod
    def over(cls, parts: Sequence[Redirect]) -> Redirect:
        """All columns of ``parts``."""
        return cls(
            torch.cat([part.moved for part in parts]),
            torch.cat([part.missed for part in parts]),
        )

    @property
    def residual(self) -> float:
        """‖W′C − WS‖ / ‖W(C − S)‖: 0 is an exact redirect, 1 no effect."""
        missed, moved = self.missed.square().sum(), self.moved.square().sum()
        return float((missed / moved.clamp(min=1e-300)).sqrt())

    def margin(self, unreachable: Float[Tensor, " n"]) -> float:
        """The recovery margin: min over columns c and all vectors e of ‖W c − W′ e‖ / ‖W(c − s)‖.

        Positive: no token embedding at all, typed or learned, reproduces the concept's keys and
        values. ``unreachable`` is what ``EditOutputs`` says of the same columns.
        """
        relevant = self.moved > 1e-6 * self.moved.max()
        return float((unreachable[relevant] / self.moved[relevant]).min())


@dataclass(frozen=True)
class EditOutputs:
    """What ``edit`` does to the outputs of all maps."""

    edit: Edit
    root: Float[Tensor, "o d"]

    @cached_property
    def change(self) -> LowRank:
        """G^½ (M − I)."""
        return LowRank(self.edit.read, self.root @ self.edit.shift)

    @cached_property
    def _single(self) -> Float[Tensor, "o d"]:
        """The root in float32: enough for a length, and half of the time."""
        return self.root.float()

    @cached_property
    def _unreachable(self) -> Float[Tensor, "j d"]:
        return unreachable_outputs(self.edit, self.root).mT @ self.root

    def redirect(self, concept: Float[Tensor, "d m"], surrogate: Float[Tensor, "d m"]) -> Redirect:
        """How far it takes ``concept`` to ``surrogate``."""
        moved = self.root @ (surrogate - concept)
        return Redirect(
            linalg.column_norms(moved),
            linalg.column_norms(self.change.times(concept) - moved),
        )

    def unreachable(self, columns: Float[Tensor, "d n"]) -> Float[Tensor, " n"]:
        """The least ‖W c − W′ e‖ over all vectors e, for each column c."""
        return linalg.column_norms(self._unreachable @ columns)

    def collateral(self, columns: Float[Tensor, "d n"]) -> Float[Tensor, " n"]:
        """‖ΔW e‖ / ‖W e‖ for each column: the relative change of the maps' output."""
        change = linalg.column_norms(self.change.times(columns))
        before = linalg.column_norms(self._single @ columns.float()).double()
        return change / before.clamp(min=1e-300)

    def expected_collateral(self, second_moment: Float[Tensor, "d d"]) -> float:
        """tr[ΔW Σ ΔWᵀ] / tr[W Σ Wᵀ]: expected relative squared change on ordinary prompts."""
        before = (self._single @ second_moment.float()).mul_(self._single).sum(dtype=torch.float64)
        if self.edit.rank > len(second_moment):
            change = self.change.dense()
            return float((change @ second_moment * change).sum() / before)
        change = self.change.up.mT @ self.change.up
        use = self.edit.read @ second_moment @ self.edit.read.mT
        return float((change * use).sum() / before)


def residual(
    edit: Edit,
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    root: Float[Tensor, "o d"],
) -> float:
    """See ``Redirect.residual``."""
    return EditOutputs(edit, root).redirect(concept, surrogate).residual


def recovery_margin(
    edit: Edit,
    concept: Float[Tensor, "d m"],
    surrogate: Float[Tensor, "d m"],
    root: Float[Tensor, "o d"],
) -> float:
    """See ``Redirect.margin``."""
    outputs = EditOutputs(edit, root)
    return outputs.redirect(concept, surrogate).margin(outputs.unreachable(concept))


def expected_collateral(
    edit: Edit, second_moment: Float[Tensor, "d d"], root: Float[Tensor, "o d"]
) -> float:
    """See ``EditOutputs.expected_collateral``."""
    return EditOutputs(edit, root).expected_collateral(second_moment)


def unreachable_outputs(edit: Edit, root: Float[Tensor, "o d"]) -> Float[Tensor, "o j"]:
    """An orthonormal basis of the outputs that F M gives for no embedding, F = ``root``.

    These are the y with Mᵀ Fᵀ y = 0. Since Mᵀ = I + readᵀ shiftᵀ, z = Fᵀ y is a combination of the
    rows of ``read``: there are at most r of them, and no matrix as large as M is decomposed.
    """
    rows = span(edit.read.mT)
    change = (rows.mT @ edit.read.mT) @ (edit.shift.mT @ rows)
    _, s, vh = linalg.svd(torch.eye(len(change), dtype=change.dtype) + change)
    size = 1 + LowRank(edit.read, edit.shift).norm()
    lost = rows @ vh[s <= RANK_TOLERANCE * size].mT
    # Rows of F are orthogonal. A z outside their span belongs to no y.
    length = linalg.column_norms(root.mT)[:, None]
    unit = root / length
    inside = unit @ lost
    _, s, vh = linalg.svd(lost - unit.mT @ inside)
    mix = vh[s <= NULL_TOLERANCE**0.5].mT
    return linalg.qr(inside @ mix / length)[0]
