"""The range of an erasure's strength, which adapters and files share."""

from __future__ import annotations

from numbers import Real

from trace_erasure.errors import InputError, shown

MAX_STRENGTH = 2.0


def check_strength(strength: float) -> None:
    """Raises ``InputError`` for a strength that is no number from 0 to 2."""
    number = isinstance(strength, Real) and not isinstance(strength, bool)
    if not number or not 0 <= strength <= MAX_STRENGTH:
        raise InputError(
            f"strength {shown(strength)} is out of range. "
            f"Choose 0 (no erasure) to 1 (as made), at most {MAX_STRENGTH:g}."
        )
