"""The two changes of a ledger: a request is added, a request is withdrawn."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.takedown.concept_text import (
    concept_key,
    concept_of,
    concept_phrases,
    concept_text,
)
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.requests import Request, list_requests
from trace_erasure.takedown.stamps import moment, signature, storable
from trace_erasure.utils.numbers import check_integer

OPEN = """
    FROM concepts JOIN asked ON asked.concept = concepts.id
    JOIN requests ON requests.id = asked.request AND requests.withdrawn_at IS NULL
"""

LARGEST_ID = 2**63 - 1
"""What SQLite can hold."""


@dataclass(frozen=True)
class NewRequest:
    """A request that is to be added.

    Attributes:
        concepts: what to erase, at least one.
        reference: the user's own name for it, such as a ticket's number.
        places: where each concept stands in a list, for messages; may be empty.
    """

    concepts: tuple[Concept, ...]
    reference: str | None = None
    places: tuple[str, ...] = ()


def add(
    ledger: Ledger, asked: Sequence[NewRequest], by: str | None = None, at: str | None = None
) -> list[int]:
    """Adds requests, all of them or none; returns their numbers.

    Two requests may ask for one concept. Then both have references, and it is erased until both
    are withdrawn.

    Raises:
        InputError: a concept is asked for already (without another reference, or with other
            details), or is a synonym of one; a reference is in use.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger.create(f"{folder}/takedown.db")
    ...     add(ledger, [NewRequest((Concept("fox"),)), NewRequest((Concept("owl"),))])
    [1, 2]
    """
    who, when = signature(by), moment(at)
    if not asked:
        raise InputError("there is no request to add. Give a concept, or a list.")
    with ledger.writing() as database:
        return [_add(database, request, who, when) for request in asked]


def _add(database: sqlite3.Connection, asked: NewRequest, by: str | None, at: str) -> int:
    if not asked.concepts:
        raise InputError("a request has no concept. Give one.")
    places = asked.places or ("",) * len(asked.concepts)
    reference = signature(asked.reference, "reference")
    if reference is not None:
        used = "SELECT id FROM requests WHERE reference = ? AND withdrawn_at IS NULL"
        if found := database.execute(used, (reference,)).fetchone():
            raise InputError(
                f"{places[0]}reference {reference!r} is that of request {found[0]}. Withdraw it "
                "first, or give another."
            )
    row = "INSERT INTO requests (reference, added_by, added_at) VALUES (?, ?, ?)"
    number = database.execute(row, (reference, by, at)).lastrowid
    assert number is not None
    for concept, place in zip(asked.concepts, places, strict=True):
        try:
            data = storable(concept_text(concept), "concept")
            _check(database, concept, data, number, reference)
        except InputError as error:
            raise InputError(f"{place}{error}") from error
        database.execute(
            "INSERT INTO asked VALUES (?, ?)", (number, _concept_id(database, concept, data))
        )
    return number


def _check(
    database: sqlite3.Connection, concept: Concept, data: str, number: int, reference: str | None
) -> None:
    """Raises ``InputError`` where a request that stands is at odds with ``concept``."""
    same = f"SELECT requests.id, requests.reference, data {OPEN} WHERE key = ?"
    for other, its_reference, its_data in database.execute(same, (concept_key(concept),)):
        if other == number:
            raise InputError(f"{concept.name!r} is given twice in one request. Give it once.")
        if its_data != data:
            raise InputError(
                f"{concept.name!r} is in request {other} with other details ({its_data}). Give "
                f"the same, or withdraw request {other} first."
            )
        if reference is None or its_reference is None:
            raise InputError(
                f"{concept.name!r} is in request {other} already. Leave it out, or tell the two "
                "apart by references."
            )
    near = (
        f"SELECT requests.id, data, leads {OPEN} JOIN phrases ON phrases.concept = concepts.id "
        "WHERE phrase = ? AND key != ?"
    )
    for phrase, leads in concept_phrases(concept):
        for other, its_data, it_leads in database.execute(near, (phrase, concept_key(concept))):
            if leads or it_leads:
                its_name = concept_of(its_data).name
                raise InputError(
                    f"{concept.name!r} and {its_name!r} of request {other}: {phrase!r} is the name "
                    f"of one and a synonym of the other. Leave the synonym out, or withdraw "
                    f"request {other} first."
                )


def _concept_id(database: sqlite3.Connection, concept: Concept, data: str) -> int:
    found = database.execute("SELECT id FROM concepts WHERE data = ?", (data,)).fetchone()
    if found:
        return found[0]
    row = "INSERT INTO concepts (key, data) VALUES (?, ?)"
    number = database.execute(row, (concept_key(concept), data)).lastrowid
    assert number is not None
    for phrase, leads in concept_phrases(concept):
        database.execute("INSERT INTO phrases VALUES (?, ?, ?)", (phrase, number, leads))
    return number


def withdraw(
    ledger: Ledger,
    ids: Sequence[int],
    by: str | None = None,
    at: str | None = None,
    reason: str | None = None,
) -> list[Request]:
    """Withdraws requests, all of them or none, and returns them; they stay in the ledger.

    Raises ``InputError`` for a number that does not exist, or that was withdrawn already.
    """
    who, when, why = signature(by), moment(at), signature(reason, "reason")
    with ledger.writing() as database:
        for number in ids:
            check_integer("request", number, 1, LARGEST_ID)
            stored = "SELECT withdrawn_at FROM requests WHERE id = ?"
            found = database.execute(stored, (number,)).fetchone()
            if found is None:
                last = database.execute("SELECT MAX(id) FROM requests").fetchone()[0]
                there = f"it has 1 to {last}" if last else "it has none yet"
                raise InputError(f"the ledger has no request {number}; {there}.")
            if found[0] is not None:
                raise InputError(f"request {number} was withdrawn already, at {found[0]}.")
            database.execute(
                "UPDATE requests SET withdrawn_by = ?, withdrawn_at = ?, reason = ? WHERE id = ?",
                (who, when, why, number),
            )
        known = {request.id: request for request in list_requests(database)}
    return [known[number] for number in ids]
