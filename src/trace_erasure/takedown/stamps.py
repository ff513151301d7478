"""Who and when, as a ledger stores them."""

from __future__ import annotations

from datetime import UTC, datetime

from trace_erasure.errors import InputError
from trace_erasure.utils.words import check_phrase


def moment(at: str | None) -> str:
    """``at`` in UTC, by default now. Raises ``InputError`` for anything but ISO 8601.

    >>> moment("2026-03-01T10:00+01:00"), moment("2026-03-01")
    ('2026-03-01T09:00:00+00:00', '2026-03-01T00:00:00+00:00')
    """
    try:
        found = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    except ValueError as error:
        raise InputError(
            f"at is {at!r}; allowed: a date or a time in ISO 8601, such as 2026-03-01T10:00+01:00 "
            "(UTC where no zone is given)."
        ) from error
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    return found.isoformat(timespec="seconds")


def signature(by: str | None, name: str = "by") -> str | None:
    """``by`` as it is stored. Raises ``InputError`` for an empty one."""
    return None if by is None else storable(check_phrase(by, name), name)


def storable(text: str, name: str) -> str:
    """``text``. Raises ``InputError`` where it holds what is no Unicode character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} is {text!r}, which is no valid Unicode. Write it anew."
        ) from error
    return text
