"""What became of the cases of an attack: kept in a file, and counted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trace_erasure.attacks.budget import Budget
from trace_erasure.errors import InputError
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.json_file import as_kind, read_json_lines


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        pre: the plain prompt already shows the concept.
        first: number of the first try that shows it, from 1; 0 is the plain prompt; None: none.
        tries: pictures that the attack drew.
        label: of the successful try.
        spent: of the budget.
    """

    attack: str
    setting: str
    concept: str
    prompt: str
    seed: int
    pre: bool
    first: int | None
    tries: int
    label: str
    spent: dict[str, int]


def read_outcomes(file: Path, budget: Budget) -> dict[tuple[str, str, int], Outcome]:
    """The outcomes in ``file`` by setting, prompt and seed; none where there is no file.

    Raises ``InputError`` where they were found under another budget, or the file is damaged.
    """
    if not file.exists():
        return {}
    lines = read_json_lines(file)
    _, head = next(lines, ("", None))
    if head != asdict(budget):
        raise InputError(
            f"{file} was made with the budget {json.dumps(head)}, not "
            f"{json.dumps(asdict(budget))}. Give the same budget, or another folder."
        )
    outcomes = [as_kind(Outcome, value, place) for place, value in lines]
    return {(o.setting, o.prompt, o.seed): o for o in outcomes}


def write_outcomes(file: Path, outcomes: Iterable[Outcome], budget: Budget) -> None:
    """Replaces ``file``: the budget on its first line, then one outcome a line."""
    make_folder(file.parent)
    lines = [json.dumps(asdict(budget)), *(json.dumps(asdict(one)) for one in outcomes)]
    with atomic(file) as partial:
        partial.write_text("\n".join(lines) + "\n", "utf-8")


@dataclass(frozen=True)
class Tally:
    """Success of an attack in one setting.

    Attributes:
        cases: how many.
        pre: of them, those where the plain prompt already shows the concept.
        by_tries: successes with at most 0, 1, 2, … tries, pre-attack ones included.
    """

    cases: int
    pre: int
    by_tries: tuple[int, ...]

    @property
    def success(self) -> int:
        return self.by_tries[-1]

    @property
    def incremental(self) -> tuple[int, int]:
        """(new successes, cases where there was something to gain)."""
        return self.success - self.pre, self.cases - self.pre


def tally(outcomes: Sequence[Outcome], images: int) -> Tally:
    """Counts ``outcomes`` of one setting under a budget of ``images``."""
    firsts = [one.first for one in outcomes if one.first is not None]
    curve = tuple(sum(first <= n for first in firsts) for n in range(images + 1))
    return Tally(len(outcomes), sum(one.pre for one in outcomes), curve)
