"""The closed form of one text stream: what it redirects, what it keeps, and a solver a mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.artifact.merge_statistics import StreamStatistics
from trace_erasure.concepts.alignment import Columns, empty_columns, join, keep_columns
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.concepts.stream_columns import StreamColumns, stream_columns
from trace_erasure.config import ClosedFormConfig
from trace_erasure.math.adversarial_rounds import Hardening, harden
from trace_erasure.math.closed_form import (
    Edit,
    equality,
    leading_pairs,
    null_space,
    regularised,
    ridge,
)
from trace_erasure.math.column_pairs import concatenated
from trace_erasure.math.subspaces import gram_root, leading_columns
from trace_erasure.math.weighted_ridge import ORDINARY, PENALTY, reweighted
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.gather_statistics import (
    HALVES,
    named_columns,
    preserved_columns,
    stream_statistics,
)
from trace_erasure.trace.hardening_search import searched_columns
from trace_erasure.trace.hardening_typos import typo_columns

ROUNDS = 8
"""Most adversarial rounds of a hardened solve."""
ADDED = 2
"""Directions that a round adds for each token segment."""
SEARCHED = 4
"""Directions of the searched prompts that are redirected for each token segment."""


@dataclass(frozen=True)
class HardeningPrompts:
    """What a hardened solve redirects beside the concepts' own sentences.

    Attributes:
        words: words with a meaning of their own, which are no typos of a concept.
        searched: for each concept, template to prompts that a search has found
            (``trace.hardening_search``).
    """

    words: set[str]
    searched: Sequence[Mapping[str, list[str]]]


@dataclass(frozen=True)
class StreamProblem:
    """The closed form of one stream of text, before it is solved.

    Attributes:
        stream: name of the stream; its embeddings have d numbers.
        segments: number of its token segments.
        weights: (out, d) of every map that reads it, by module path.
        second_moment: (d, d) Σ of ordinary embeddings, regularised.
        root: (r, d) G^½, root of the maps' Gram matrix.
        materials: the columns of each concept.
        statistics: the same, as a joint solve with other artifacts takes them.
        empty: (d, n) columns of the empty prompt.
        retained: (d, n) columns of the retained prompts.
        named: prompt to (d, n) columns of other names in the captions; for a ridge only.
    """

    stream: str
    segments: int
    weights: Mapping[str, Tensor]
    second_moment: Tensor
    root: Tensor
    materials: Sequence[StreamColumns]
    statistics: Sequence[StreamStatistics]
    empty: Tensor
    retained: Tensor
    named: Mapping[str, Tensor]

    @property
    def redirected(self) -> Columns:
        """The columns C of all concepts and S of their surrogates."""
        return join([own.moved for own in self.materials])


@dataclass(frozen=True)
class StreamSolution:
    """The edit of one stream.

    Attributes:
        edit: M = I + shift @ read.
        margins: recovery margins before the adversarial rounds and after each that was kept;
            empty without hardening.
    """

    edit: Edit
    margins: tuple[float, ...] = ()


def pose_problem(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    retain: Sequence[str],
    settings: ClosedFormConfig,
    captions: Sequence[str] | None,
    stream: str,
    hardening: HardeningPrompts | None = None,
) -> StreamProblem:
    """Encodes everything that the closed form of ``stream`` depends on.

    Args:
        concepts: each with its surrogate named.
        retain: prompts to keep, beside the empty one.
        settings: with a mode.
        captions: ordinary language; None is the package's list.
    """
    sigma = regularised(second_moment(denoiser, captions, stream), settings.ridge)
    weights = denoiser.weights(stream, len(sigma))
    root = gram_root(list(weights.values()))
    materials = [
        stream_columns(denoiser, concept, stream, exact=settings.directions is None)
        for concept in concepts
    ]
    if hardening is not None:
        materials = _hardened(denoiser, concepts, materials, hardening, stream)
    empty = empty_columns(denoiser, stream)
    named: Mapping[str, Tensor] = {}
    if settings.mode != "equality":
        named = named_columns(denoiser, concepts, captions_for(denoiser, captions), stream, root)
    return StreamProblem(
        stream=stream,
        segments=len(denoiser.segments(stream)),
        weights=weights,
        second_moment=sigma,
        root=root,
        materials=materials,
        # An exact solve has to stay exact among others, so it carries all of its columns.
        statistics=[
            stream_statistics(denoiser, own, retain, stream, root, settings.directions is None)
            for own in materials
        ],
        empty=empty,
        retained=keep_columns(denoiser, retain, stream) if retain else empty[:, :0],
        named=named,
    )


def _hardened(
    denoiser: Denoiser,
    concepts: Sequence[ResolvedConcept],
    materials: Sequence[StreamColumns],
    hardening: HardeningPrompts,
    stream: str,
) -> list[StreamColumns]:
    """The materials with columns of typos, repetitions and searched prompts."""
    return [
        replace(
            own,
            described=(*own.described, *typo_columns(denoiser, concept, hardening.words, stream)),
            adversarial=searched_columns(denoiser, concept, prompts, stream),
        )
        for own, concept, prompts in zip(materials, concepts, hardening.searched, strict=True)
    ]


def solve_equality(
    problem: StreamProblem, settings: ClosedFormConfig, hardened: bool = False
) -> StreamSolution:
    """The edit of least expected output change that redirects the leading directions exactly.

    Args:
        hardened: adds adversarial rounds until the recovery margin stops rising
            (``math.adversarial_rounds``).
    """
    sigma, root = problem.second_moment, problem.root
    kept = kept_columns(problem, settings)
    c, s, discarded = _leading_columns(problem, settings.directions)
    edit = replace(equality(c, s, kept, sigma, root), discarded=discarded)
    if not hardened:
        return StreamSolution(edit)
    own = problem.redirected
    edit, margins = harden(
        edit,
        Hardening(own.concept, own.surrogate, kept, sigma, root, own.weights.sqrt()),
        redirected=(c, s),
        rounds=ROUNDS,
        added=ADDED * problem.segments,
    )
    return StreamSolution(edit, tuple(margins))


def solve_ridge(problem: StreamProblem, settings: ClosedFormConfig) -> StreamSolution:
    """The reweighted least-squares edit, see ``math.weighted_ridge``."""
    pairs, prior = reweighted(
        [(own.pairs, *own.described) for own in problem.statistics],
        preserved_columns(problem.statistics, problem.empty, problem.named),
        problem.second_moment,
        problem.root,
    )
    c, s = concatenated(pairs)
    directions = settings.directions
    if directions is not None:
        directions *= len(problem.materials) * problem.segments
    edit = ridge(
        c,
        s,
        prior,
        penalty=PENALTY,
        preserve=ORDINARY,
        root=problem.root,
        directions=directions,
    )
    return StreamSolution(edit)


def solve_null_space(problem: StreamProblem, settings: ClosedFormConfig) -> StreamSolution:
    """The ridge, projected off the kept columns."""
    edit = solve_ridge(problem, settings).edit
    return StreamSolution(null_space(edit, kept_columns(problem, settings)))


Solver = Callable[[StreamProblem, ClosedFormConfig], StreamSolution]
SOLVERS: dict[str, Solver] = {
    "equality": solve_equality,
    "ridge": solve_ridge,
    "null_space": solve_null_space,
}
"""A solver for each mode of ``ClosedFormConfig``."""


def is_exact(settings: ClosedFormConfig) -> bool:
    """Whether the solve is untruncated, so that its only error is rounding."""
    return settings.mode == "equality" and settings.directions is None


def kept_columns(problem: StreamProblem, settings: ClosedFormConfig) -> Tensor:
    """(d, r) columns that the edit leaves as they are.

    The empty prompt and the words before a concept must all stay for the edit to be exact; a
    truncated solve keeps the leading directions of these and of the retained prompts together.
    """
    root, count = problem.root, settings.keep * problem.segments
    always = torch.cat([problem.empty, *(own.before for own in problem.materials)], dim=1)
    halves = [leading_columns(own.single_mention, root, HALVES) for own in problem.materials]
    if is_exact(settings):
        general = torch.cat([always, leading_columns(problem.retained, root, count)], dim=1)
    else:
        general = leading_columns(torch.cat([always, problem.retained], dim=1), root, count)
    return torch.cat([general, *halves], dim=1)


def _leading_columns(
    problem: StreamProblem, directions: int | None
) -> tuple[Tensor, Tensor, float]:
    """C and S of the leading directions, and the largest share of energy that a concept discards.

    Concepts share ``directions``, at least one each; None takes all their columns.
    """
    materials, segments = problem.materials, problem.segments
    each = directions
    if each is not None:
        each = max(1, each // len(materials)) * segments
    # Ordinary words stand in a description, so that only its leading direction may move.
    chosen = [(own.moved, each) for own in materials]
    chosen += [(columns, segments) for own in materials for columns in own.described]
    chosen += [(columns, SEARCHED * segments) for own in materials for columns in own.adversarial]
    pairs = [
        leading_pairs(x.concept, x.surrogate, problem.root, count, x.weights.sqrt())
        for x, count in chosen
    ]
    c = torch.cat([concept for concept, _, _ in pairs], dim=1)
    s = torch.cat([surrogate for _, surrogate, _ in pairs], dim=1)
    return c, s, max(discarded for _, _, discarded in pairs[: len(materials)])
