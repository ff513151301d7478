"""What stage 1 did to a model, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from torch import Tensor

from trace_erasure.concepts.alignment import Columns, keep_columns_each
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import edit_metrics, subspaces
from trace_erasure.math.lowrank import LowRank
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.families.family import TOKENS


@dataclass(frozen=True)
class Figures:
    """What stage 1 did to one stream of text, in numbers; no image is made for them.

    Attributes:
        residual_listed: ‖W′C − WS‖ / ‖W(C − S)‖ on the prompts of the solve; 0 is exact.
        residual_held_out: the same on wordings that the solve never saw.
        expected_collateral: expected relative squared change of the maps' output on broad captions.
        retained: exact relative change for each retained prompt, worst position.
        empty_prompt: the same for the empty prompt: what guidance subtracts.
        recovery_margin: least distance of any embedding's keys and values from the concept's,
            relative to concept − surrogate; 0 means that some embedding brings the concept back.
        capacity: share of the embedding's dimensions that the constraints use.
        discarded: share of the concept − surrogate energy outside the chosen directions.
        rank: of the edit.
        size: ‖M − I‖_F; large values are ill-conditioned.
    """

    residual_listed: float
    residual_held_out: float
    expected_collateral: float
    retained: dict[str, float]
    empty_prompt: float
    recovery_margin: float
    capacity: float
    discarded: float
    rank: int
    size: float


@dataclass(frozen=True)
class Certificate(Figures):
    """What stage 1 did to the model: each figure's worst value over the streams.

    Attributes:
        streams: the figures of each edited stream, by its name.
        pooled_path: ``none`` in a family without one, ``edited``, or ``open``: the concept still
            reaches the network through the pooled vector, whatever the figures say.
    """

    streams: dict[str, Figures]
    pooled_path: str

    @classmethod
    def over(cls, streams: dict[str, Figures], pooled_path: str) -> Certificate:
        """The worst of ``streams``: the smallest recovery margin, the largest of all else."""
        worst = {f.name: max if f.name != "recovery_margin" else min for f in fields(Figures)}
        found = {name: [getattr(x, name) for x in streams.values()] for name in worst}
        retained = found.pop("retained")
        return cls(
            **{name: worst[name](values) for name, values in found.items()},
            retained={prompt: max(x[prompt] for x in retained) for prompt in retained[0]},
            streams=streams,
            pooled_path=pooled_path,
        )

    def to_dict(self) -> dict:
        return asdict(self)


def certify(
    denoiser: Denoiser,
    edit: algebra.Edit,
    listed: Columns,
    held_out: Columns,
    retain: Sequence[str],
    sigma: Tensor,
    root: Tensor,
    stream: str = TOKENS,
) -> Figures:
    """Measures the ``edit`` of one stream; see ``Figures`` for the quantities. ``root`` is G^½."""
    maps_gram = subspaces.gram([root])
    kept = keep_columns_each(denoiser, [EMPTY, *retain], stream)
    worst = {
        prompt: float(edit_metrics.collateral(edit, columns, maps_gram).max())
        for prompt, columns in kept.items()
    }
    return Figures(
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
