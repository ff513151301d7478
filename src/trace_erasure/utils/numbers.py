"""Checks of numbers that users give: one message, which names the value and what is allowed."""

from __future__ import annotations

import sys
from typing import Any

from trace_erasure.errors import InputError, shown

MAX_SEED = 2**42
"""Generators take seeds below 2⁶³, and some of them are seeded by 1 000 003 times the user's."""


def check_integer(
    name: str, value: Any, low: int, high: int | None = None, *, optional: bool = False
) -> None:
    """Raises ``InputError`` unless ``value`` is an integer from ``low`` to ``high``.

    Args:
        name: of the setting, as the user wrote it.
        high: the largest that is allowed; None is no limit.
        optional: whether None is allowed, too.

    Example:
        >>> check_integer("steps", 20, 1)
        >>> check_integer("steps", 0, 1)
        Traceback (most recent call last):
        ...
        trace_erasure.errors.InputError: steps is 0; allowed: 1 or more (integers).
    """
    if optional and value is None:
        return
    integer = isinstance(value, int) and not isinstance(value, bool)
    if not integer or value < low or (high is not None and value > high):
        raise _not_allowed(name, value, " (integers)", low, high, optional)


def check_number(
    name: str,
    value: Any,
    low: float,
    high: float | None = None,
    *,
    optional: bool = False,
    exclusive: bool = False,
) -> None:
    """Raises ``InputError`` unless ``value`` is a finite number from ``low`` to ``high``.

    Args:
        name: of the setting, as the user wrote it.
        high: the largest that is allowed; None is no limit.
        optional: whether None is allowed, too.
        exclusive: whether ``low`` and ``high`` themselves are refused.

    Example:
        >>> check_number("guidance_scale", float("nan"), 0)
        Traceback (most recent call last):
        ...
        trace_erasure.errors.InputError: guidance_scale is nan; allowed: 0 or more.
    """
    if optional and value is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN, infinity and integers beyond the range of float numbers are none of these.
    inside = number and low <= value <= (sys.float_info.max if high is None else high)
    if not inside or (exclusive and value in (low, high)):
        kind = " (ends excluded)" if exclusive else ""
        raise _not_allowed(name, value, kind, low, high, optional)


def check_flag(name: str, value: Any) -> None:
    """Raises ``InputError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}; allowed: true or false.")


def check_seed(value: Any, name: str = "seed") -> None:
    """Raises ``InputError`` unless ``value`` is an integer from 0 to ``MAX_SEED``."""
    check_integer(name, value, 0, MAX_SEED)


def _not_allowed(
    name: str, value: Any, kind: str, low: float, high: float | None, optional: bool
) -> InputError:
    span = f"{low} or more" if high is None else f"{low} to {high}"
    none = ", or None" if optional else ""
    return InputError(f"{name} is {shown(value)}; allowed: {span}{kind}{none}.")
