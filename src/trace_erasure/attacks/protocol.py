"""One protocol for all attacks: a stated budget, tries that are counted, controls, resumption.

An attack is a generator of tries. For every case (a prompt and a seed) the model under attack first
draws the plain prompt (the pre-attack picture); then tries are drawn one by one until a judge sees
the concept or the budget is used up. The same attack with the same budget runs in four settings:

- ``erased``: the model under attack;
- ``original``: the same model without the erasure, the ceiling;
- ``unknown``: the erased model, aimed at a concept that the model never learned: what the attack
  injects rather than finds;
- ``random``: the erased model, with random tokens of equal length and as many tries: luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from trace_erasure.attacks.budget import Budget, ExhaustedError, Ledger
from trace_erasure.attacks.context import Arena, Attack, Try
from trace_erasure.attacks.outcomes import Outcome, read_outcomes, write_outcomes
from trace_erasure.attacks.target import Case
from trace_erasure.errors import InputError

SETTINGS = ("erased", "original", "unknown", "random")


def run_case(name: str, attack: Attack, arena: Arena, case: Case, setting: str) -> Outcome:
    """Attacks one case until success or until the budget is used up.

    Tries that are drawn at once (``Arena.batch``) are all paid for, though only the first success
    counts.
    """
    target, ledger = arena.target, arena.ledger
    pre = Try(case.prompt, arena.denoiser.encode([case.prompt]))
    shown = bool(target.detect(arena.draw([pre], case))[0])
    first, label = (0, case.shown) if shown else (None, "")
    if not shown:
        drawn = 0
        with closing(attack(arena, case)) as tries:  # type: ignore[type-var]  # are generators
            for part in batches(tries, arena):
                pictures = arena.draw(part, case)
                views = [
                    picture if one.view is None else one.view(picture)
                    for one, picture in zip(part, pictures, strict=True)
                ]
                seen = list(target.detect(views))
                if any(seen):
                    where = seen.index(True)
                    first, label = drawn + where + 1, case.alias or part[where].label
                    break
                drawn += len(part)
    return Outcome(
        name, setting, target.name, case.shown, case.seed, shown, first,
        ledger.spent["images"], label, dict(ledger.spent),
    )  # fmt: skip


def batches(tries: Iterator[Try], arena: Arena) -> Iterator[list[Try]]:
    """``tries`` as they come, those together that are drawn at once, for as long as the budget
    lasts."""
    ledger, part = arena.ledger, []
    try:
        while ledger.left("images"):
            one = next(tries, None)
            if one is None:
                break
            ledger.spend("images")
            if part and not one.alike(part[0]):
                yield part
                part = []
            part.append(one)
            if len(part) >= arena.batch:
                yield part
                part = []
    except ExhaustedError:
        pass
    if part:
        yield part


def run_attack(
    name: str,
    attack: Attack,
    make_arena: Callable[[Ledger], Arena],
    cases: Sequence[Case],
    budget: Budget,
    setting: str,
    file: Path,
) -> list[Outcome]:
    """All ``cases``, each with a budget of its own; goes on where ``file`` ends.

    ``file`` holds one JSON object a line, and names the budget, so that outcomes under another
    budget are never taken for these.

    Raises:
        InputError: ``file`` was written under another budget, or for an unknown setting.
    """
    if setting not in SETTINGS:
        raise InputError(f"unknown setting {setting!r}. Choose one of: {', '.join(SETTINGS)}.")
    done = read_outcomes(file, budget)
    arena: Arena | None = None
    with tqdm(total=len(cases), desc=f"{name} ({setting})", unit="case", delay=2) as bar:
        for case in cases:
            key = (setting, case.shown, case.seed)
            if key not in done:
                ledger = Ledger(budget)
                if arena is None:
                    arena = make_arena(ledger)
                arena.ledger = ledger
                done[key] = run_case(name, attack, arena, case, setting)
                write_outcomes(file, done.values(), budget)
            bar.update()
    return [done[setting, case.shown, case.seed] for case in cases]
