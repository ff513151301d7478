"""Solves the closed form of one text stream, a function a mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trace_erasure.config import ClosedFormConfig
from trace_erasure.math.adversarial_rounds import Hardening, harden
from trace_erasure.math.closed_form import Edit, equality, null_space, ridge
from trace_erasure.math.column_pairs import concatenated
from trace_erasure.math.subspaces import leading_columns
from trace_erasure.math.weighted_ridge import ORDINARY, PENALTY, reweighted
from trace_erasure.trace.gather_statistics import HALVES, preserved_columns
from trace_erasure.trace.stream_problem import StreamProblem

ROUNDS = 8
"""Most adversarial rounds of a hardened solve."""
ADDED = 2
"""Directions that a round adds for each token segment."""


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
    c = torch.cat([own.concept for own in problem.leading], dim=1)
    s = torch.cat([own.surrogate for own in problem.leading], dim=1)
    discarded = max(own.discarded for own in problem.leading)
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
    always = torch.cat([problem.empty, *(own.before for own in problem.summaries)], dim=1)
    halves = [leading_columns(own.single_mention, root, HALVES) for own in problem.summaries]
    # Distinct ones: prompts have their first tokens in common.
    distinct = torch.cat([always[:, :0], *problem.retained.values()], dim=1)
    if problem.retained:
        distinct = torch.unique(distinct, dim=1)
    if is_exact(settings):
        general = torch.cat([always, leading_columns(distinct, root, count)], dim=1)
    else:
        general = leading_columns(torch.cat([always, distinct], dim=1), root, count)
    return torch.cat([general, *halves], dim=1)
