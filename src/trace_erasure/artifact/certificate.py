"""The certificate of stage 1 as plain data: what an artifact records and what readers print."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True)
class StreamCertificate:
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
class Certificate(StreamCertificate):
    """What stage 1 did to the model: each figure's worst value over the streams.

    Attributes:
        streams: the figures of each edited stream, by its name.
        pooled_path: ``none`` in a family without one, ``edited``, or ``open``: the concept still
            reaches the network through the pooled vector, whatever the figures say.
    """

    streams: dict[str, StreamCertificate]
    pooled_path: str

    @classmethod
    def over(cls, streams: dict[str, StreamCertificate], pooled_path: str) -> Certificate:
        """The worst of ``streams``: the smallest recovery margin, the largest of all else."""
        names = [field.name for field in fields(StreamCertificate)]
        worst = {name: min if name == "recovery_margin" else max for name in names}
        found = {name: [getattr(x, name) for x in streams.values()] for name in worst}
        retained = found.pop("retained")
        return cls(
            **{name: worst[name](values) for name, values in found.items()},
            retained={prompt: max(x[prompt] for x in retained) for prompt in retained[0]},
            streams=streams,
            pooled_path=pooled_path,
        )

    def to_dict(self) -> dict:
        """As JSON holds it."""
        return asdict(self)
