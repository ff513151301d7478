"""The public ``attack``: an erasure under several attacks, with one budget for each case."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.attacks.budget import Budget
from trace_erasure.attacks.registry import ATTACKS, attack_entry
from trace_erasure.attacks.results import attack_table
from trace_erasure.attacks.runner import ERASED, AttackRunner
from trace_erasure.attacks.targets import targets_of
from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.report.tables import to_json_text, to_markdown
from trace_erasure.evaluation.runs.records import Row
from trace_erasure.evaluation.runs.selection import (
    check_model,
    default_judges,
    erasures_by_concept,
    pipeline_and_name,
)
from trace_erasure.evaluation.tasks.loader import load_task
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.utils.arguments import check_kind, check_text, check_texts, not_allowed
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import check_folder, make_folder
from trace_erasure.utils.numbers import check_flag, check_integer
from trace_erasure.utils.words import check_phrase, check_phrases
from trace_erasure.world import load_world


def attack(  # noqa: PLR0913 - a verb: its options are keyword-only
    pipe_or_model: Any,
    erasure: Erasure,
    task: Task | str | os.PathLike[str],
    attacks: Sequence[str] = (),
    *,
    concepts: Sequence[str] | None = None,
    synonyms: Mapping[str, Sequence[str]] | None = None,
    judge: Evaluator | None = None,
    model: str | None = None,
    cases: int = 6,
    budget: Budget = Budget(),
    controls: bool = True,
    folder: str | os.PathLike[str] | None = None,
    batch: int = 8,
    bfloat16: bool = False,
) -> list[Row]:
    """Attacks an erasure and counts the cases in which a judge recognises the concept again.

    Args:
        pipe_or_model: a diffusers pipeline without the erasure, a shipped model's name, or a
            pipeline's folder.
        task: a name, the path of a task file, or a ``Task``: its ``target`` items are the cases.
        attacks: names (``trace-erasure ls attacks``); default: all.
        concepts: of the task; default: those that the erasure names.
        synonyms: concept to more words for it; default: those of the shipped vocabulary.
        judge: recognises the concept in pictures; default: the task's own, else a shipped one.
        model: its name in rows; default: the name that was given, or that of the pipeline's folder.
        cases: at most so many prompts a concept.
        budget: what one case may cost.
        controls: the original model, an unknown concept and random words as well.
        folder: where outcomes are kept, with ``attacks.json`` and ``attacks.md``; a run that was
            broken off goes on there. None keeps nothing.
        batch: attempts by text drawn at once.
        bfloat16: draw in bfloat16.

    Returns:
        Rows of figures; ``attacks.results.attack_table`` makes a table of them.

    Raises:
        InputError: an attack is unknown, the task does not fit the erasure, or a setting is out
            of range.

    Example:
        >>> from trace_erasure import attack
        >>> from trace_erasure.attacks.budget import Budget
        >>> from trace_erasure.evaluation import shipped_judges
        >>> from trace_erasure.testing import tiny_erasure
        >>> pipe, erasure = tiny_erasure()
        >>> rows = attack(
        ...     pipe, erasure, "objects", ["typo"], judge=shipped_judges()[0], cases=1,
        ...     budget=Budget(images=1), controls=False,
        ... )
        >>> sorted({row.concept for row in rows})
        ['mean', 'worst']
    """
    check_kind("erasure", erasure, Erasure)
    check_kind("budget", budget, Budget)
    check_text("model", model, optional=True, longest=100)
    check_kind("judge", judge, get_args(Evaluator), optional=True)
    check_flag("controls", controls)
    check_flag("bfloat16", bfloat16)
    if folder is not None:
        check_folder("folder", folder)
    concepts = check_texts("concepts", concepts, empty=False, optional=True)
    check_model("pipe_or_model", pipe_or_model)
    names = list(dict.fromkeys(check_texts("attacks", attacks) or ATTACKS))
    for name in names:
        attack_entry(name)
    whole = task if isinstance(task, Task) else load_task(task, concepts=concepts)
    part = whole.subset(list(erasures_by_concept(whole, [erasure], concepts)))
    check_integer("cases", cases, 1)
    check_integer("batch", batch, 1)
    pipe, name_in_rows = pipeline_and_name(pipe_or_model)
    model = model or name_in_rows
    judge = default_judges(part, model)[0] if judge is None else judge
    words = synonyms_of(erasure) if synonyms is None else checked_synonyms(synonyms)
    targets, how = targets_of(erasure, part, judge, cases, words), part.sampling
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        runner = AttackRunner(
            pipe=pipe, erasure=erasure, targets=targets, model=model, judge=judge.id,
            budget=budget, steps=how.steps, guidance=how.guidance_scale,
            folder=Path(temporary if folder is None else folder), batch=batch, bfloat16=bfloat16,
        )  # fmt: skip
        for name in names:
            rows += runner.rows(name, controls)
            if folder is not None:
                write_rows(rows, Path(folder))
    return rows


def write_rows(rows: Sequence[Row], folder: Path) -> None:
    """``attacks.json`` and ``attacks.md`` in ``folder``."""
    make_folder(folder, "folder")
    table = to_markdown(attack_table(rows, ERASED))
    for suffix, text in (("json", to_json_text(rows) + "\n"), ("md", table)):
        with atomic(folder / f"attacks.{suffix}") as partial:
            partial.write_text(text, "utf-8")


def checked_synonyms(synonyms: object) -> dict[str, tuple[str, ...]]:
    """``synonyms`` normalised. Raises ``InputError`` unless it maps concepts to lists."""
    if not isinstance(synonyms, Mapping):
        raise not_allowed("synonyms", synonyms, "a concept to its words, {'fox': ['vixen']}", True)
    return {
        check_phrase(concept, "a concept of synonyms"): check_phrases(words, f"synonyms[{concept}]")
        for concept, words in synonyms.items()
    }


def synonyms_of(erasure: Erasure, given: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """More words for the erasure's concepts: ``given``, and those of the shipped vocabulary."""
    known = {thing.name: thing.synonyms for thing in load_world().objects}
    phrases = [concept.phrase for concept in erasure.record.concepts]
    return {phrase: (*given, *known.get(phrase, ())) for phrase in phrases}
