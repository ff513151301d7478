"""Errors that users can act on."""

from __future__ import annotations


class InputError(ValueError):
    """Bad input. The message names the value, what is allowed and what to do next."""


class NonFiniteError(ArithmeticError):
    """A value stopped being finite. The message names the step and the module or loss term."""


class FailedErasureWarning(UserWarning):
    """An erasure that its own figures call failed. The message says why and what to do next."""
