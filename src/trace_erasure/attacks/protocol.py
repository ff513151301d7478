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

from trace_erasure.attacks.budget import Budget, BudgetTracker, ExhaustedError
from trace_erasure.attacks.context import Attack, AttackContext, Attempt
from trace_erasure.attacks.outcomes import Outcome, read_outcomes, write_outcomes
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.errors import InputError
from trace_erasure.utils.progress import progress

SETTINGS = ("erased", "original", "unknown", "random")


def run_case(
    name: str, attack: Attack, context: AttackContext, case: AttackCase, setting: str
) -> Outcome:
    """Attacks one case until success or until the budget is used up.

    Attempts that are drawn at once (``AttackContext.batch``) are all paid for, though only the
    first success counts.
    """
    target, tracker = context.target, context.tracker
    pre = Attempt(case.prompt, context.denoiser.encode([case.prompt]))
    shown = bool(target.detect(context.draw([pre], case))[0])
    first, label = (0, case.shown) if shown else (None, "")
    if not shown:
        drawn = 0
        with closing(attack(context, case)) as tries:  # type: ignore[type-var]  # are generators
            for part in batched_attempts(tries, context):
                pictures = context.draw(part, case)
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
        tracker.spent["images"], label, dict(tracker.spent),
    )  # fmt: skip


def batched_attempts(tries: Iterator[Attempt], context: AttackContext) -> Iterator[list[Attempt]]:
    """``tries`` as they come, those together that are drawn at once, for as long as the budget
    lasts."""
    tracker, part = context.tracker, []
    try:
        while tracker.left("images"):
            one = next(tries, None)
            if one is None:
                break
            tracker.spend("images")
            if part and not one.can_batch_with(part[0]):
                yield part
                part = []
            part.append(one)
            if len(part) >= context.batch:
                yield part
                part = []
    except ExhaustedError:
        pass
    if part:
        yield part


def run_attack(
    name: str,
    attack: Attack,
    make_context: Callable[[BudgetTracker], AttackContext],
    cases: Sequence[AttackCase],
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
    context: AttackContext | None = None
    with progress(total=len(cases), desc=f"{name} ({setting})", unit="case") as bar:
        for case in cases:
            key = (setting, case.shown, case.seed)
            if key not in done:
                tracker = BudgetTracker(budget)
                if context is None:
                    context = make_context(tracker)
                context.tracker = tracker
                done[key] = run_case(name, attack, context, case, setting)
                write_outcomes(file, done.values(), budget)
            bar.update()
    return [done[setting, case.shown, case.seed] for case in cases]
