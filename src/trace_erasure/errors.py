"""Errors that users can act on."""

from __future__ import annotations

import re

RUN = re.compile(r"(\S{100})\S{400,}")
"""A word that nobody wrote by hand, and what is kept of it."""


class InputError(ValueError):
    """Bad input. The message names the value, what is allowed and what to do next.

    >>> len(str(InputError("there is no task " + "x" * 5000)))
    118
    """

    def __init__(self, message: str) -> None:
        super().__init__(RUN.sub(r"\1…", message))


class NonFiniteError(ArithmeticError):
    """A value stopped being finite. The message names the step and the module or loss term."""


class WorkerLostError(RuntimeError):
    """Workers of an engine died too often. The message says where their logs are."""


class FailedErasureWarning(UserWarning):
    """An erasure that its own figures call failed. The message says why and what to do next."""


def shown(value: object, longest: int = 60) -> str:
    """``value`` as messages show it: its ``repr``, cut where it is long.

    >>> shown("x" * 100, 10)
    "'xxxxxxxx…"
    """
    try:
        text = repr(value)
    except ValueError:  # a number with more digits than Python writes out
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
