"""One erasure under attack, in every setting of the protocol that applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks import results
from trace_erasure.attacks.budget import Budget, BudgetTracker
from trace_erasure.attacks.context import AttackContext
from trace_erasure.attacks.outcomes import Outcome
from trace_erasure.attacks.protocol import run_attack
from trace_erasure.attacks.registry import attack_entry
from trace_erasure.attacks.targets import Target, unknown_target
from trace_erasure.evaluation import Row
from trace_erasure.evaluation.runs.runner import precision
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.content_digest import weights_digest
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import digest_of

CONTROLS = ("unknown", "random")
BATCH = 8
ERASED = "erased"


@dataclass(frozen=True)
class AttackRunner:
    """Attacks on one erasure, kept case by case: killed, it goes on where it was.

    Attributes:
        pipe: a diffusers pipeline without the erasure; it is given back so after every attack.
        targets: concept to what is aimed at; see ``aim.targets_of``.
        model, judge: their names in rows.
        budget: of every case.
        steps, guidance: of every picture.
        folder: where outcomes are kept.
        batch, bfloat16: how pictures are drawn; see ``under_attack``.
    """

    pipe: Any
    erasure: Erasure
    targets: Mapping[str, Target]
    model: str
    judge: str
    budget: Budget
    steps: int
    guidance: float
    folder: Path
    batch: int = BATCH
    bfloat16: bool = False

    @cached_property
    def home(self) -> Path:
        """Outcomes of another model, erasure, judge or aim are never taken for these."""
        aims = {name: (one.forbidden, one.synonyms) for name, one in self.targets.items()}
        how = (self.steps, self.guidance, self.batch, self.bfloat16)
        known = [weights_digest(self.pipe), self.judge, how, aims]
        return self.folder / f"{self.erasure.name}-{digest_of(known)}"

    def rows(self, attack: str, controls: bool = True) -> list[Row]:
        """The figures of one attack, controls included; none where it does not apply.

        Raises:
            InputError: an unknown attack, or outcomes were kept under another budget.
        """
        budget = budget_for(attack, self.budget)
        targets = dict(self.targets)
        if attack == "synonym":
            targets = {name: one for name, one in targets.items() if one.synonyms}
        if not targets:
            return []
        cases = [case for target in targets.values() for case in target.cases]
        made = results.attack_protocol(
            attack, budget, cases, self.steps, self.guidance, precision(self.pipe, self.bfloat16)
        )
        like = results.empty_row(self.model, self.judge, made)

        def outcomes(setting: str) -> dict[str, list[Outcome]]:
            found = {}
            for name, target in targets.items():
                aim = unknown_target(target.cases) if setting == "unknown" else target
                file = self.home / outcome_name(attack, setting) / f"{name}-{setting}.jsonl"
                found[name] = run_setting(
                    self.pipe, self.erasure, attack, aim, setting, budget, file,
                    steps=self.steps, guidance=self.guidance, batch=self.batch,
                    bfloat16=self.bfloat16,
                )  # fmt: skip
            return found

        rows = []
        if controls:
            rows += results.rows_of(outcomes("original"), results.ORIGINAL, like)
        rows += results.rows_of(outcomes("erased"), ERASED, like)
        for setting in control_settings(attack) if controls else ():
            every = [one for part in outcomes(setting).values() for one in part]
            rows.append(results.control_row(every, f"{ERASED} / {setting}", like))
        return rows


def control_settings(attack: str) -> tuple[str, ...]:
    """The settings that control ``attack``, beside the original model.

    A probe uses no words, so that random ones are no control, and nothing means the same as a word
    that means nothing.
    """
    left_out = (
        {"random"} if attack_entry(attack).probe else {"unknown"} if attack == "synonym" else set()
    )
    return tuple(control for control in CONTROLS if control not in left_out)


def budget_for(attack: str, budget: Budget) -> Budget:
    """``budget`` with the number of pictures that the attack is defined by, if it is by one."""
    images = attack_entry(attack).images or budget.images
    return Budget(images, budget.gradients, budget.encodings)


def outcome_name(attack: str, setting: str) -> str:
    """Under which name outcomes are kept: random words are the same for all attacks that have as
    many."""
    entry = attack_entry(attack)
    if setting == "random":
        return f"random-{entry.length}{'-prefix' * entry.keeps_prompt}"
    return attack


def groups_of(attacks: Sequence[str]) -> dict[str, list[str]]:
    """``attacks`` by the control that they share, which one process has to draw."""
    groups: dict[str, list[str]] = {}
    for name in attacks:
        groups.setdefault(outcome_name(name, "random"), []).append(name)
    return groups


def run_setting(  # noqa: PLR0913 - one name for each field of the protocol
    pipe: Any,
    erasure: Erasure,
    attack: str,
    target: Target,
    setting: str,
    budget: Budget,
    file: Path,
    *,
    steps: int,
    guidance: float,
    batch: int = BATCH,
    bfloat16: bool = False,
) -> list[Outcome]:
    """One attack in one setting of the protocol on every case of ``target``.

    ``pipe`` comes without the erasure and goes back so; what ``file`` has is not done again.

    Args:
        batch: tries by text that are drawn at once. Probes are drawn one by one: some change the
            model in between.
        bfloat16: draw in bfloat16.

    Raises:
        InputError: an unknown attack or setting, or ``file`` is of another budget.
    """
    entry = attack_entry(attack)
    original = setting == "original"
    original_model: Callable[[], Any] = nullcontext
    if not original:
        original_model = partial(adapters.switched_off, pipe, erasure.name)

    def make(tracker: BudgetTracker) -> AttackContext:
        return AttackContext(
            Denoiser(pipe), target, tracker, steps, guidance, original_model=original_model,
            batch=1 if entry.probe else batch, autocast=bfloat16,
        )  # fmt: skip

    run = entry.control if setting == "random" else entry.run
    with nullcontext() if original else erasure.attach(pipe):
        return run_attack(attack, run, make, target.cases, budget, setting, file)
