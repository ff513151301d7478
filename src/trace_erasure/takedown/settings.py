"""How every erasure of a ledger is made."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.config import HARDENING
from trace_erasure.errors import InputError
from trace_erasure.utils.numbers import check_flag, check_seed


@dataclass(frozen=True)
class Settings:
    """How every erasure of a ledger is made.

    Attributes:
        finetune: whether stage 2 is trained, with its usual settings.
        hardening: as in ``EraseConfig``.
        seed: of every random choice.
    """

    finetune: bool = False
    hardening: str = "off"
    seed: int = 0

    def __post_init__(self) -> None:
        check_flag("finetune", self.finetune)
        check_seed(self.seed)
        if self.hardening not in HARDENING:
            allowed = ", ".join(HARDENING)
            raise InputError(f"hardening is {self.hardening!r}; allowed: {allowed}.")


USUAL = Settings()
