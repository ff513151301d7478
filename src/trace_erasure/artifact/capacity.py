"""How many concepts fit into one stream of text: plain data that merges record."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from trace_erasure.math.trial import Trial


@dataclass(frozen=True)
class Capacity:
    """What one stream of text has room for.

    Attributes:
        width: dimensions of the embedding.
        mode: ``equality``, or ``ridge`` where there is no room or it is the family's way.
        directions: conditions a concept, 0 in ridge mode.
        needed: share of the dimensions that the conditions ask for; in ridge mode the least that
            an equality would.
        residuals: by concept, ‖W′C − WS‖ / ‖W(C − S)‖ on its own sentences: 0 exact, 1 no effect.
        collateral: expected relative squared change of the maps' output on ordinary captions.
        most: concepts that fit with one condition each.
        collisions: (concept, concept, overlap of their leading directions), worst first.
        trials: everything that was tried.
    """

    width: int
    mode: str
    directions: int
    needed: float
    residuals: dict[str, float]
    collateral: float
    most: int
    collisions: list[tuple[str, str, float]]
    trials: list[Trial]

    def to_dict(self) -> dict:
        """As JSON holds it."""
        return asdict(self)
