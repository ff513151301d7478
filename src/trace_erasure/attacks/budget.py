"""What an attack may spend on one case, and the tracker of what it has spent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from trace_erasure.utils.numbers import check_integer


class ExhaustedError(Exception):
    """An attack has used up its budget. The protocol catches it: the attack is over."""


@dataclass(frozen=True)
class Budget:
    """What an attack may spend on one case.

    Attributes:
        images: pictures drawn, each one try.
        gradients: states through the denoising network with gradients, or without to score.
        encodings: prompts through the text encoders, with gradients or without.
    """

    images: int = 8
    gradients: int = 160
    encodings: int = 2000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            check_integer(f"budget.{name}", value, 1)


@dataclass
class BudgetTracker:
    """What one attack on one case has spent so far."""

    budget: Budget
    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(asdict(Budget()), 0))

    def spend(self, kind: str, count: int = 1) -> None:
        """Books before the work is done. Raises ``ExhaustedError`` beyond the budget."""
        if self.left(kind) < count:
            raise ExhaustedError(kind)
        self.spent[kind] += count

    def left(self, kind: str) -> int:
        return getattr(self.budget, kind) - self.spent[kind]
