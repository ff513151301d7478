"""What stage 1 did to a model, in numbers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from trace_erasure.artifact.certificate import StreamCertificate
from trace_erasure.concepts.alignment import Columns, keep_columns_each
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import edit_metrics, subspaces
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.families.family import TOKENS


def certify(
    denoiser: Denoiser,
    edit: algebra.Edit,
    listed: Columns,
    held_out: Columns,
    retain: Sequence[str],
    sigma: Tensor,
    root: Tensor,
    stream: str = TOKENS,
) -> StreamCertificate:
    """Measures the ``edit`` of one stream; ``root`` is G^½."""
    maps_gram = subspaces.gram([root])
    kept = keep_columns_each(denoiser, [EMPTY, *retain], stream)
    worst = {
        prompt: float(edit_metrics.collateral(edit, columns, maps_gram).max())
        for prompt, columns in kept.items()
    }
    return StreamCertificate(
        residual_listed=edit_metrics.residual(edit, listed.concept, listed.surrogate, maps_gram),
        residual_held_out=edit_metrics.residual(
            edit, held_out.concept, held_out.surrogate, maps_gram
        ),
        expected_collateral=edit_metrics.expected_collateral(edit, sigma, maps_gram),
        retained={prompt: worst[prompt] for prompt in retain},
        empty_prompt=worst[EMPTY],
        recovery_margin=edit_metrics.recovery_margin(edit, listed.concept, listed.surrogate, root),
        capacity=edit.capacity,
        discarded=edit.discarded,
        rank=edit.rank,
        size=float(LowRank(edit.read, edit.shift).norm()),
    )
