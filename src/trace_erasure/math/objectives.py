"""Stage 2: what the student should predict on the concept, late in the trajectory.

e_p, e_0 and e_s are the frozen teacher's outputs for the concept prompt, the empty prompt and the
surrogate prompt at the same state; e is the student's output for the concept prompt. Every
function returns one loss a state, (n,), the mean over all other dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from trace_erasure.math.objective_names import NAMES

Objective = Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]


def mean_square(difference: Float[Tensor, " n *shape"]) -> Float[Tensor, " n"]:
    """Mean of the squares over everything but the batch."""
    return difference.square().flatten(1).mean(1)


def reverse_cfg(
    e: Float[Tensor, " n *shape"],
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n"]:
    """‖e − [e_0 − η (e_p − e_0)]‖²: guidance reversed (ESD, arXiv 2303.07345).

    η = 0 aims at the empty prompt.
    """
    return mean_square(e - (e_0 - eta * (e_p - e_0)))


def anchor(
    e: Float[Tensor, " n *shape"],
    e_p: Float[Tensor, " n *shape"],
    e_0: Float[Tensor, " n *shape"],
    e_s: Float[Tensor, " n *shape"],
    eta: float,
) -> Float[Tensor, " n"]:
    """‖e − [e_s − (1 − η)(e_s − e_p)]‖²: the surrogate's prediction at η = 1, bounded."""
    return mean_square(e - (e_p + eta * (e_s - e_p)))


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


OBJECTIVES: dict[str, Objective] = dict(zip(NAMES, (anchor, reverse_cfg, margin), strict=True))
