"""Stage 1 of many concepts at once, from what their artifacts carry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trace_erasure.artifact.capacity import Capacity
from trace_erasure.artifact.merge_statistics import MergeStatistics
from trace_erasure.concepts.alignment import keep_columns
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.config import MergeConfig
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import joint_solve, subspaces
from trace_erasure.math.column_pairs import Pairs
from trace_erasure.math.joint_solve import JointEdit
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.content_digest import text_digest
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.map_root import map_root
from trace_erasure.trace.gather_statistics import HALVES, named_columns, preserved_columns

log = logging.getLogger("trace_erasure")

COLLISION = 0.9
"""Concepts whose leading directions overlap by more than this are named as colliding."""


@dataclass(frozen=True)
class JointSolution:
    """The joint edit of each stream, the change of every map, and what there was room for.

    Attributes:
        solved: the solution of each stream at full strength.
        edits: the same at the strengths that were asked for.
        sigmas: Σ of each stream, as it was used.
        owners: of each part of ``solved``, the number of its statistics.
    """

    solved: dict[str, JointEdit]
    edits: dict[str, algebra.Edit]
    sigmas: dict[str, torch.Tensor]
    owners: list[int]
    delta: dict[str, LowRank]
    capacity: dict[str, Capacity]


def solve(
    denoiser: Denoiser,
    statistics: Sequence[MergeStatistics],
    strengths: Sequence[float],
    settings: MergeConfig,
    captions: Sequence[str],
) -> JointSolution:
    """Solves stage 1 for all ``statistics``, which carry the same streams.

    Args:
        strengths: one for each of them; they scale the result and do not enter the solve.
        captions: ordinary language for Σ, without the concepts.
    """
    solved, edits, sigmas, capacity = {}, {}, {}, {}
    # A description is a part of its own, at its concept's strength.
    parts = [len(next(iter(share.streams.values())).described) + 1 for share in statistics]
    owners = [i for i, count in enumerate(parts) for _ in range(count)]
    delta: dict[str, LowRank] = {}
    encoders = text_digest(denoiser.pipe)
    for stream in statistics[0].streams:
        moment = second_moment(denoiser, captions, stream, encoders)
        sigma = algebra.regularised(moment, settings.ridge)
        sigmas[stream] = sigma
        maps = denoiser.maps(stream)
        weights = denoiser.weights(stream, len(sigma))
        root = map_root(denoiser, stream, len(sigma))
        found = _solve(denoiser, stream, statistics, settings, captions, sigma, root)
        solved[stream], capacity[stream] = found
        edits[stream] = algebra.compress(solved[stream].at([strengths[i] for i in owners]))
        for path, weight in weights.items():
            delta[path] = edits[stream].change(weight).widen(maps[path].in_features)
    return JointSolution(solved, edits, sigmas, owners, delta, capacity)


def _solve(
    denoiser: Denoiser,
    stream: str,
    statistics: Sequence[MergeStatistics],
    settings: MergeConfig,
    captions: Sequence[str],
    sigma: torch.Tensor,
    root: torch.Tensor,
) -> tuple[JointEdit, Capacity]:
    parts = [share.streams[stream] for share in statistics]
    concepts = [(part.pairs, *part.described) for part in parts]
    pairs = [one for own in concepts for one in own]
    segments = len(denoiser.segments(stream))
    empty = keep_columns(denoiser, [EMPTY], stream)
    erased = [share.concept for share in statistics]
    named = named_columns(denoiser, erased, captions, stream, root)
    rest = preserved_columns(parts, empty, named)
    others = torch.cat([empty[:, :0], *rest.retained], dim=1)
    general = torch.cat([empty, subspaces.unit_outputs(others, root)], dim=1)
    # All halves share what one concept's have: held one by one they would leave no room to erase.
    halves = subspaces.leading_columns(torch.cat([*rest.alone], dim=1), root, HALVES)
    keep = torch.cat(
        [subspaces.leading_columns(general, root, settings.keep * segments), halves], 1
    )
    counts = joint_solve.DIRECTIONS_TRIED if settings.directions is None else (settings.directions,)
    # As for one concept, see ``plan``: where other tokens carry the concept,
    # an equality comes too late.
    if settings.mode == "ridge" or (denoiser.family.bidirectional and settings.directions is None):
        counts = ()
    conditions = [n * segments for n in counts]
    # A combination's halves would weigh on everybody else's erasure, so it is solved by itself.
    whole = [i for i, concept in enumerate(erased) if concept.only_with is None]
    apart = [[i] for i, concept in enumerate(erased) if concept.only_with is not None]
    groups = [
        joint_solve.RidgeGroup(own, preserved_columns([parts[i] for i in own], empty, named))
        for own in (whole, *apart)
        if own
    ]
    best, trials = joint_solve.solve_jointly(concepts, keep, groups, sigma, root, conditions)
    taken = next(trial for trial in trials if trial.directions == best.directions)
    names = [
        name
        for share, own in zip(statistics, concepts, strict=True)
        for name in _names(share.concept, len(own))
    ]
    collisions = _collisions(names, pairs, root, sigma, segments)
    room = (joint_solve.MOST_CAPACITY * len(sigma) - keep.shape[1]) / (2 * segments)
    capacity = Capacity(
        width=len(sigma),
        mode=best.mode,
        directions=best.directions,
        needed=taken.needed,
        residuals=dict(zip(names, taken.residuals, strict=True)),
        collateral=taken.collateral,
        most=max(0, int(room)),
        collisions=collisions,
        trials=trials,
    )
    _log_capacity(stream, capacity, len(statistics))
    return best, capacity


def _names(concept: Concept, count: int) -> list[str]:
    """What to call the ``count`` parts of ``concept``: its own, its descriptions', and those of its
    other forms: spelled out, or found by hardening."""
    own = [concept.name, *(f"{concept.name}: {x}" for x in concept.descriptions)]
    return [*own, *(f"{concept.name}, other form {i + 1}" for i in range(count - len(own)))]


def _collisions(
    names: Sequence[str],
    pairs: Sequence[Pairs],
    root: torch.Tensor,
    sigma: torch.Tensor,
    count: int,
) -> list[tuple[str, str, float]]:
    """Pairs of concepts whose leading directions overlap, worst first."""
    factor = torch.linalg.cholesky(sigma)
    leading = [pair.leading(root, count).concept for pair in pairs]
    found = joint_solve.overlaps(leading, factor).triu(1)
    collisions = [
        (names[int(i)], names[int(j)], float(found[i, j]))
        for i, j in torch.nonzero(found > COLLISION)
    ]
    return sorted(collisions, key=lambda collision: -collision[2])


def _log_capacity(stream: str, capacity: Capacity, count: int) -> None:
    worst = max(capacity.residuals, key=lambda name: capacity.residuals[name])
    log.info(
        "%d concepts in %s: %.0f %% of %d dimensions asked for; %s%s; residual %.2f, at worst "
        "%.2f (%s)",
        count,
        stream,
        100 * capacity.needed,
        capacity.width,
        capacity.mode,
        f" on {capacity.directions} directions each" if capacity.directions else "",
        sum(capacity.residuals.values()) / count,
        capacity.residuals[worst],
        worst,
    )
    if capacity.needed > joint_solve.MOST_CAPACITY:
        log.warning(
            "%d concepts are beyond the capacity of %s (%d at most): nothing is exact, ridge "
            "compromise with the residual above",
            count,
            stream,
            capacity.most,
        )
    for first, second, overlap in capacity.collisions:
        log.info("%r and %r collide in %s: overlap %.2f", first, second, stream, overlap)
