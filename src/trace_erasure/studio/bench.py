"""The model on the bench: one in memory at a time, for whoever works with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trace_erasure.errors import InputError
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.loading import load_pipeline


@dataclass
class Bench:
    """Loads a model when it is asked for, and lets go of the one before.

    Attributes:
        named: models beside the shipped ones that may be chosen.
        closed: whether no others may be: visitors from elsewhere choose from a list.
        how: options of ``load_pipeline``, such as ``device``.

    >>> bench = Bench(closed=True)
    >>> bench.check("../private")
    Traceback (most recent call last):
    trace_erasure.errors.InputError: '../private' is not offered here. Choose one of: emoji-sd, \
emoji-flux, emoji-scenes.
    """

    named: Sequence[str] = ()
    closed: bool = False
    how: dict[str, Any] = field(default_factory=dict)
    _name: str = ""
    _pipe: Any = None

    @property
    def choices(self) -> list[str]:
        """Models to choose from."""
        return list(dict.fromkeys([*self.named, *shipped.PIPELINES]))

    def check(self, name: str) -> None:
        """Raises ``InputError`` for a model that may not be chosen."""
        if not name.strip():
            raise InputError("no model is chosen. Choose one, or give a folder.")
        if self.closed and name not in self.choices:
            raise InputError(
                f"{name!r} is not offered here. Choose one of: {', '.join(self.choices)}."
            )

    def pipeline(self, name: str) -> Any:
        """The pipeline called ``name``: that on the bench, or a new one.

        Raises ``InputError`` as ``check`` and ``load_pipeline`` do; the bench is then empty.
        """
        self.check(name)
        if name != self._name:
            self._name, self._pipe = "", None  # two models at once may not fit
            self._pipe = load_pipeline(name, **self.how)
            self._name = name
        return self._pipe
