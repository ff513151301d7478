"""The exact part of a certificate: outputs of the edited text-facing maps, by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trace_erasure.artifact.certificate import Certificate
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.alignment import ROLES, Columns, concept_columns, keep_columns
from trace_erasure.concepts.concept import ResolvedConcept, fill_template
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser

EXACT = 1e-4
"""Relative differences below this are rounding: files hold float32."""
ZERO_EIGENVALUE = 1e-13
"""Eigenvalues of W′ᵀW′ below this share of the largest are outside the row space of W′."""


@dataclass(frozen=True)
class RoleResidual:
    """All listed positions of one role, see ``concepts.alignment.ROLES``, in one stream.

    Attributes:
        stream, role: where.
        columns: how many there are, and how many of them the surrogate ``moved``.
        residual: ‖W′C − WS‖ / ‖W(C − S)‖ over those that move; 0 is an exact redirect, 1 no effect.
        worst: the same for the worst of them, relative to the role's mean.
        unmoved: largest ‖ΔW c‖ / ‖W c‖ of those that should stay.
    """

    stream: str
    role: str
    columns: int
    moved: int
    residual: float
    worst: float
    unmoved: float


@dataclass(frozen=True)
class ExactPart:
    """Properties of the edited maps themselves; no picture and no chance in them.

    Attributes:
        prompts: each listed concept prompt to its residual, worst stream.
        positions: the residual by role.
        surrogate, empty_prompt: largest ‖ΔW e‖ / ‖W e‖ over their positions: 0 is kept.
        recovery_margin: least distance of any embedding's output through the edited maps from a
            listed concept position's original output, relative to concept − surrogate.
        capacity: share of the embedding that the solve used; None without stage 1.
        pooled_path: ``none``, ``edited`` or ``open``.
        deep: changed layers that do not read text directly: no exact statement covers them.
        holds: the entry lemma applies: on every listed prompt the edited model *is* the original
            on the surrogate's prompt.
    """

    prompts: dict[str, float]
    positions: tuple[RoleResidual, ...]
    surrogate: float
    empty_prompt: float
    recovery_margin: float
    capacity: float | None
    pooled_path: str
    deep: tuple[str, ...]
    holds: bool


class Maps:
    """The text-facing maps of one stream, before and after an erasure."""

    def __init__(self, denoiser: Denoiser, erasure: Erasure, stream: str, width: int) -> None:
        self.before = {k: w.double() for k, w in denoiser.weights(stream, width).items()}
        self.change: dict[str, Tensor] = {}
        for path, delta in erasure.delta.items():
            if path in self.before:
                self.change[path] = delta.to("cpu", torch.float64).dense()[:, :width]

    def after(self, path: str) -> Tensor:
        weight = self.before[path]
        return weight + self.change[path] if path in self.change else weight

    def squared_output(self, columns: Tensor) -> Tensor:
        """‖W e‖² of each column, (n,)."""
        return column_sums_of_squares(w @ columns for w in self.before.values())

    def relative_change(self, columns: Tensor) -> Tensor:
        """‖ΔW e‖ / ‖W e‖ of each column, (n,)."""
        if not self.change:
            return torch.zeros(columns.shape[1], dtype=torch.float64)
        change = column_sums_of_squares(w @ columns for w in self.change.values())
        return (change / self.squared_output(columns).clamp(min=1e-300)).sqrt()

    def squared_error(self, concept: Tensor, surrogate: Tensor) -> Tensor:
        """‖W′c − Ws‖² of each pair, (n,)."""
        paths = self.before
        return column_sums_of_squares(
            self.after(p) @ concept - self.before[p] @ surrogate for p in paths
        )

    def margin(self, concept: Tensor, surrogate: Tensor) -> float:
        """min over columns c and vectors e of ‖W c − W′ e‖ / ‖W(c − s)‖."""
        d = concept.shape[0]
        gram = torch.zeros(d, d, dtype=torch.float64)
        reach = torch.zeros_like(concept)  # W′ᵀ W c
        for path, weight in self.before.items():
            after = self.after(path)
            gram += after.mT @ after
            reach += after.mT @ (weight @ concept)
        values, vectors = torch.linalg.eigh(gram)
        used = values > ZERO_EIGENVALUE * values[-1]
        met = (vectors[:, used].mT @ reach).square() / values[used, None]
        missed = (self.squared_output(concept) - met.sum(0)).clamp(min=0)
        return float((missed / self.squared_output(concept - surrogate)).min().sqrt())


def column_sums_of_squares(parts: Any) -> Tensor:
    return torch.stack([part.square().sum(0) for part in parts]).sum(0)


def exact_part(
    denoiser: Denoiser,
    erasure: Erasure,
    concepts: Sequence[ResolvedConcept],
    certificate: Certificate | None,
) -> ExactPart:
    """Measures both stages of ``erasure`` together at the maps of ``denoiser``'s base weights.

    ``concepts`` name their surrogates; ``certificate`` is that of stage 1, where there was one.
    """
    residuals: dict[str, float] = {}
    table: list[RoleResidual] = []
    surrogate = empty = 0.0
    margin = float("inf")
    streams = [stream.name for stream in denoiser.family.streams]
    for stream in streams:
        width = denoiser.embeddings([EMPTY], stream)[0].shape[-1]
        maps = Maps(denoiser, erasure, stream, width)
        parts: list[Columns] = []
        for concept in concepts:
            for template, phrase in concept.wordings():
                found = concept_columns(denoiser, [(template, phrase)], concept.surrogate, stream)
                parts.append(found)
                text, (value,) = fill_template(template, phrase), _by_prompt(maps, found)
                residuals[text] = max(residuals.get(text, 0.0), value)
        table += _by_role(maps, stream, parts)
        moving = [part.select(part.moved) for part in parts]
        c, s = (torch.cat([getattr(p, n) for p in moving], dim=1) for n in ("concept", "surrogate"))
        margin = min(margin, maps.margin(c, s))
        surrogate = max(surrogate, float(maps.relative_change(s).max()))
        empty = max(
            empty, float(maps.relative_change(keep_columns(denoiser, [EMPTY], stream)).max())
        )
    facing = {path for stream in streams for path in denoiser.maps(stream)}
    deep = tuple(path for path in erasure.delta if path not in facing)
    worst = max([*residuals.values(), surrogate, empty, *(row.unmoved for row in table)])
    return ExactPart(
        prompts=residuals,
        positions=tuple(table),
        surrogate=surrogate,
        empty_prompt=empty,
        recovery_margin=margin,
        capacity=certificate.capacity if certificate else None,
        pooled_path=_pooled(denoiser, erasure),
        deep=deep,
        holds=not deep and worst <= EXACT,
    )


def _pooled(denoiser: Denoiser, erasure: Erasure) -> str:
    pooled = [stream for stream in denoiser.family.streams if not stream.segments]
    if not pooled:
        return "none"
    edited = any(path in erasure.delta for stream in pooled for path in denoiser.maps(stream.name))
    return "edited" if edited else "open"


def _by_prompt(maps: Maps, columns: Columns) -> list[float]:
    """The residual of every prompt of ``columns``."""
    moved = columns.moved
    missed = maps.squared_error(columns.concept, columns.surrogate)
    total = maps.squared_output(columns.concept - columns.surrogate)
    found = []
    for number in range(int(columns.prompt.max()) + 1):
        own = moved & (columns.prompt == number)
        found.append(float((missed[own].sum() / total[own].sum()).sqrt()) if own.any() else 0.0)
    return found


def _by_role(maps: Maps, stream: str, parts: Sequence[Columns]) -> list[RoleResidual]:
    moved = torch.cat([part.moved for part in parts])
    concept = torch.cat([part.concept for part in parts], dim=1)
    target = torch.cat([part.surrogate for part in parts], dim=1)
    names = [role for part in parts for role in part.roles]
    missed, total = maps.squared_error(concept, target), maps.squared_output(concept - target)
    stayed = maps.relative_change(concept)
    rows = []
    for role in ROLES:
        own = torch.tensor([name == role for name in names])
        if not own.any():
            continue
        moving, still = own & moved, own & ~moved
        rows.append(
            RoleResidual(
                stream=stream,
                role=role,
                columns=int(own.sum()),
                moved=int(moving.sum()),
                residual=float((missed[moving].sum() / total[moving].sum()).sqrt())
                if moving.any()
                else 0.0,
                worst=float((missed[moving].max() / total[moving].mean()).sqrt())
                if moving.any()
                else 0.0,
                unmoved=float(stayed[still].max()) if still.any() else 0.0,
            )
        )
    return rows
