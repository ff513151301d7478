"""Settings of a merge."""

from __future__ import annotations

from dataclasses import dataclass

from trace_erasure.config.checks import check
from trace_erasure.config.finetune import FinetuneConfig
from trace_erasure.utils.arguments import check_kind
from trace_erasure.utils.numbers import check_integer, check_number


@dataclass(frozen=True)
class MergeConfig:
    """How artifacts become one.

    Attributes:
        mode: ``auto``, equality as long as there is room for it, or ``ridge`` in any case.
        directions: conditions a concept in the joint solve; None takes, of 8, 4, 2 and 1, the
            number that costs least of those that there is room for.
        keep: how many leading directions of what is retained are held, as in ``ClosedFormConfig``.
        ridge: λ of Σ + λ·mean(diag Σ)·I.
        rank: the most that the result may have; None loses nothing. Trained parts give way first.
        integrate: a short finetune of all together, towards what each artifact does alone.
    """

    mode: str = "auto"
    directions: int | None = None
    keep: int = 24
    ridge: float = 1e-3
    rank: int | None = None
    integrate: FinetuneConfig | None = None

    def __post_init__(self) -> None:
        check(self.mode in ("auto", "ridge"), "merge.mode", self.mode, "auto or ridge")
        for name in ("directions", "rank"):
            value = getattr(self, name)
            check_integer(f"merge.{name}", value, 1, optional=True)
        check_integer("merge.keep", self.keep, 0)
        check_number("merge.ridge", self.ridge, 0, exclusive=True)
        check_kind("merge.integrate", self.integrate, FinetuneConfig, optional=True)
