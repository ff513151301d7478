"""What a published evaluation needs and costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from trace_erasure.cli.printing.console import make_table

if TYPE_CHECKING:
    from trace_erasure.evaluation import Task
    from trace_erasure.reproduce.checks import Finding
    from trace_erasure.reproduce.recipe import Recipe


def needs_table(recipe: Recipe, found: Sequence[Finding]) -> Table:
    """One line for each thing that the user brings."""
    table = make_table(f"{recipe.title}", "needed", "what it is", "size", "licence", "")
    table.add_row("model", recipe.model, "", "", "--model")
    for one in found:
        table.add_row(one.name, one.what, one.size, one.licence, one.problem or "there")
    return table


def cost_of(task: Task, methods: int) -> str:
    """How many erasures, pictures and network passes a run takes, in a sentence."""
    pictures = len({(item.prompt, item.seed) for item in task.items})
    erasures = methods * len(task.concepts)
    of_methods = sum(
        len({(item.prompt, item.seed) for item in task.of(name)}) for name in task.concepts
    )
    drawn = pictures + methods * of_methods
    passes = 2 * drawn * task.sampling.steps
    return (
        f"{erasures} erasures, {drawn:,} pictures of {task.sampling.steps} steps: {passes:,} "
        "passes of the network, with guidance. The time is these times a pass on your device."
    )
