"""Measures a closed-form edit for the certificate, without any image."""

from __future__ import annotations

from collections.abc import Sequence

from trace_erasure.artifact.certificate import StreamCertificate
from trace_erasure.concepts.alignment import Columns, keep_columns_each
from trace_erasure.math import edit_metrics, subspaces
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.trace.stream_problem import StreamProblem


def measure_edit(
    denoiser: Denoiser,
    problem: StreamProblem,
    edit: Edit,
    held_out: Columns,
    retain: Sequence[str],
) -> StreamCertificate:
    """The figures of one stream's edit.

    Args:
        held_out: columns of the concepts in templates that the solve has not seen.
        retain: retained prompts, which are measured one by one.
    """
    listed, root = problem.redirected, problem.root
    maps_gram = subspaces.gram([root])
    kept = keep_columns_each(denoiser, [EMPTY, *retain], problem.stream)
    worst = {
        prompt: float(edit_metrics.collateral(edit, columns, maps_gram).max())
        for prompt, columns in kept.items()
    }
    return StreamCertificate(
        residual_listed=edit_metrics.residual(edit, listed.concept, listed.surrogate, maps_gram),
        residual_held_out=edit_metrics.residual(
            edit, held_out.concept, held_out.surrogate, maps_gram
        ),
        expected_collateral=edit_metrics.expected_collateral(
            edit, problem.second_moment, maps_gram
        ),
        retained={prompt: worst[prompt] for prompt in retain},
        empty_prompt=worst[EMPTY],
        recovery_margin=edit_metrics.recovery_margin(edit, listed.concept, listed.surrogate, root),
        capacity=edit.capacity,
        discarded=edit.discarded,
        rank=edit.rank,
        size=float(LowRank(edit.read, edit.shift).norm()),
    )
