"""Measures a closed-form edit for the certificate, without any image."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from trace_erasure.artifact.certificate import StreamCertificate
from trace_erasure.concepts.alignment import Columns, keep_columns
from trace_erasure.math.closed_form import Edit
from trace_erasure.math.edit_metrics import EditOutputs, Redirect
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.trace.stream_problem import StreamProblem


def measure_edit(
    denoiser: Denoiser, problem: StreamProblem, edit: Edit, held_out: Iterable[Columns]
) -> StreamCertificate:
    """The figures of one stream's edit; retained prompts are measured one by one.

    Args:
        held_out: columns of each concept in templates that the solve has not seen.
    """
    outputs = EditOutputs(edit, problem.root)
    # One concept at a time: the columns of many do not fit into memory together.
    parts, out_of_reach = [], []
    for own in problem.materials:
        parts.append(outputs.redirect(own.moved.concept, own.moved.surrogate))
        out_of_reach.append(outputs.unreachable(own.moved.concept))
    listed = Redirect.over(parts)
    unseen = Redirect.over([outputs.redirect(x.concept, x.surrogate) for x in held_out])
    kept = {EMPTY: keep_columns(denoiser, [EMPTY], problem.stream), **problem.retained}
    worst = {prompt: float(outputs.collateral(own).max()) for prompt, own in kept.items()}
    return StreamCertificate(
        residual_listed=listed.residual,
        residual_held_out=unseen.residual,
        expected_collateral=outputs.expected_collateral(problem.second_moment),
        retained={prompt: worst[prompt] for prompt in problem.retained},
        empty_prompt=worst[EMPTY],
        recovery_margin=listed.margin(torch.cat(out_of_reach)),
        capacity=edit.capacity,
        discarded=edit.discarded,
        rank=edit.rank,
        size=float(LowRank(edit.read, edit.shift).norm()),
    )
