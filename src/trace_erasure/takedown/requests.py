"""Requests to erase concepts, as the ledger has them. Nothing is ever deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from trace_erasure.concepts.concept import Concept
from trace_erasure.takedown.concept_text import concept_key, concept_of
from trace_erasure.takedown.ledger import Ledger


@dataclass(frozen=True)
class Request:
    """A request of the ledger; times are ISO 8601 in UTC.

    Attributes:
        id: counts from 1 in the order of arrival.
        concepts: number to concept.
        reference: the user's own name for it.
        added_by, added_at: who asked, and when.
        withdrawn_by, withdrawn_at, reason: empty while it stands.
    """

    id: int
    concepts: dict[int, Concept]
    reference: str | None
    added_by: str | None
    added_at: str
    withdrawn_by: str | None = None
    withdrawn_at: str | None = None
    reason: str | None = None

    @property
    def stands(self) -> bool:
        """Whether it was not withdrawn."""
        return self.withdrawn_at is None


def requests(ledger: Ledger) -> list[Request]:
    """Every request there ever was, oldest first."""
    with ledger.reading() as database:
        return list_requests(database)


def list_requests(database: sqlite3.Connection) -> list[Request]:
    """``requests`` in a transaction that is open."""
    known = {
        number: concept_of(data)
        for number, data in database.execute("SELECT id, data FROM concepts")
    }
    asked: dict[int, dict[int, Concept]] = {}
    for request, concept in database.execute("SELECT request, concept FROM asked"):
        asked.setdefault(request, {})[concept] = known[concept]
    rows = database.execute(
        "SELECT id, reference, added_by, added_at, withdrawn_by, withdrawn_at, reason "
        "FROM requests ORDER BY id"
    )
    return [Request(number, asked[number], *rest) for number, *rest in rows]


def active(listed: Sequence[Request]) -> dict[int, Concept]:
    """Number to concept of what standing requests ask for.

    The order is that of the concepts' names, so that it does not depend on who asked first.
    """
    found = {n: c for request in listed if request.stands for n, c in request.concepts.items()}
    return dict(sorted(found.items(), key=lambda item: concept_key(item[1])))
