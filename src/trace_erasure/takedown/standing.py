"""Where every request stands, with every model."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from trace_erasure.takedown.bases import Base, bases
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import Build, builds
from trace_erasure.takedown.requests import Request, active, requests

WAITING, ERASED, LEAVING, WITHDRAWN = "waiting", "erased", "leaving", "withdrawn"
"""Not in the LoRA file yet; in it; withdrawn, but in it still; withdrawn and out of it."""


@dataclass(frozen=True)
class Standings:
    """Where the requests of a ledger stand.

    Attributes:
        requests: oldest first.
        builds: each model with its last build, None where its first one has not finished.
        states: by request's number: model's folder to one of ``waiting``, ``erased``, ``leaving``
            and ``withdrawn``.
    """

    requests: list[Request]
    builds: list[tuple[Base, Build | None]]
    states: dict[int, dict[str, str]]

    def up_to_date(self, folder: str) -> bool:
        """Whether a model's LoRA file is as the requests ask."""
        return not any(own[folder] in (WAITING, LEAVING) for own in self.states.values())


def standings(ledger: Ledger) -> Standings:
    """Where every request stands.

    A withdrawn request whose concepts others still ask for is ``withdrawn``, not ``leaving``.
    """
    listed = requests(ledger)
    built = [(base, next(iter(builds(ledger, base, 1)), None)) for base in bases(ledger)]
    asked = active(listed).keys()
    states: dict[int, dict[str, str]] = {}
    for request in listed:
        states[request.id] = {
            base.folder: _state(request, frozenset() if last is None else last.concepts, asked)
            for base, last in built
        }
    return Standings(listed, built, states)


def _state(request: Request, erased: frozenset[int], asked: Set[int]) -> str:
    own = request.concepts.keys()
    if request.stands:
        return ERASED if own <= erased else WAITING
    return LEAVING if (own & erased) - asked else WITHDRAWN
