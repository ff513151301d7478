"""Stage 2: what the student should predict on the concept, late in the trajectory.

e_p, e_0 and e_s are the frozen teacher's outputs for the concept prompt, the empty prompt and the
surrogate prompt at the same state; e is the student's output for the concept prompt. Every
function returns one loss a state, (n,), the mean over all other dimensions. Where a scene shows the
concept unnamed, the scene's own prompt takes the place of the empty one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from trace_erasure.math.objective_names import NAMES

Objective = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]
Target = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def mean_square(difference: Float[Tensor, " n *shape"]) -> Float[Tensor, " n"]:
    """Mean of the squares over everything but the batch."""
    return difference.square().flatten(1).mean(1)


def anchor_target(
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n *shape"]:
    """e_p + η (e_s − e_p): the surrogate's prediction at η = 1."""
    return e_p + eta * (e_s - e_p)


def reverse_cfg_target(
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n *shape"]:
    """e_0 − η (e_p − e_0): guidance reversed (ESD, arXiv 2303.07345); η = 0 is the empty prompt."""
    return e_0 - eta * (e_p - e_0)


def without_guidance_target(
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n *shape"]:
    """e_p − η (e_p − e_0): the concept's guidance taken off; at η = 1 the empty prompt."""
    return e_p - eta * (e_p - e_0)


def margin_target(
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n *shape"]:
    """e_p + ½ (1 + η)(e_s − e_p): the nearest point to e_p at which the margin's loss is 0."""
    return e_p + 0.5 * (1 + eta) * (e_s - e_p)


def margin(
    e: Float[Tensor, " n *shape"],
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n"]:
    """max(0, ‖e − e_s‖² − ‖e − e_p‖² + η ‖e_p − e_s‖²): nearer to the surrogate, then rest.

    Zero once the student is further from the concept than from the surrogate by the share η of
    their distance, so it never pushes without bound.
    """
    gap = mean_square(e_p - e_s)
    return (mean_square(e - e_s) - mean_square(e - e_p) + eta * gap).clamp(min=0)


def distance_to(target: Target) -> Objective:
    """‖e − target‖², the objective whose target is ``target``."""

    def objective(e: Tensor, e_p: Tensor, e_0: Tensor, e_s: Tensor, eta: float) -> Tensor:
        return mean_square(e - target(e_p, e_0, e_s, eta))

    objective.__doc__ = target.__doc__
    return objective


anchor = distance_to(anchor_target)
reverse_cfg = distance_to(reverse_cfg_target)
without_guidance = distance_to(without_guidance_target)


class Outputs(NamedTuple):
    """The frozen teacher's outputs that an objective compares, (n, …) each."""

    e_p: Tensor
    e_0: Tensor
    e_s: Tensor


def in_proportion(outputs: Outputs, share: Float[Tensor, " n"]) -> Outputs:
    """``outputs`` drawn towards e_0, so that all differences are ``share`` times as large.

    Share 1 changes nothing; at share 0 every objective's target is e_0.
    """
    part = share.reshape(-1, *(1,) * (outputs.e_0.ndim - 1))
    return Outputs(*(outputs.e_0 + part * (output - outputs.e_0) for output in outputs))


TARGETS: dict[str, Target] = dict(
    zip(
        NAMES,
        (anchor_target, reverse_cfg_target, margin_target, without_guidance_target),
        strict=True,
    )
)
"""Where each objective wants the student's output to be."""

OBJECTIVES: dict[str, Objective] = dict(
    zip(NAMES, (anchor, reverse_cfg, margin, without_guidance), strict=True)
)
