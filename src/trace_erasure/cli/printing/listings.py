"""What there is to choose from. Nothing here loads torch but `objectives`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from trace_erasure.cli.printing.console import make_table
from trace_erasure.errors import InputError

if TYPE_CHECKING:
    from trace_erasure.utils.cache import Kept


def attacks() -> Table:
    """What `attack` can run."""
    from trace_erasure.attacks.registry import ATTACKS

    table = make_table("Attacks, and probes beyond prompts", "name", "", "what it does")
    for name, entry in ATTACKS.items():
        table.add_row(name, "probe" if entry.probe else "", entry.description)
    return table


def concepts() -> Table:
    """What the shipped model can draw."""
    from trace_erasure.world import load_world
    from trace_erasure.world.vocabulary import OBJECT_GROUPS

    world = load_world()
    table = make_table("What emoji-sd can draw, and lose", "kind", "group", "concepts")
    for group in OBJECT_GROUPS:
        table.add_row("object", group, ", ".join(thing.name for thing in world.group(group)))
    table.add_row("style", "styles", ", ".join(world.styles.values()))
    table.add_row("identity", "people", ", ".join(world.people))
    return table


def families() -> Table:
    """The supported architectures."""
    from trace_erasure.pipeline.families.registry import CHECKS, FAMILIES, verified

    table = make_table("Model families", "family", "pipelines", "passed on as", "verified")
    claims = verified()
    for family in FAMILIES:
        passed_on = f"LoRA, {family.lora_keys} keys" if family.mixin else "merged checkpoint"
        found = claims[family.name]
        own = "everything" if found == list(CHECKS) else ", ".join(found)
        table.add_row(family.name, ", ".join(family.pipelines), passed_on, own)
    table.caption = "everything: " + ", ".join(CHECKS) + "; on small random pipelines"
    return table


def models() -> Table:
    """The shipped models and where they are."""
    from trace_erasure.pipeline import shipped

    table = make_table("Shipped models; a folder of your own does as well", "name", "folder")
    for name in shipped.PIPELINES:
        table.add_row(name, str(shipped.path(name)))
    return table


def packs() -> Table:
    """The packs that ship with the package. Words of sensitive ones are not shown."""
    from trace_erasure.concepts.pack import load_pack, shipped_packs

    table = make_table("Packs for --pack; a YAML file does as well", "name", "", "what it erases")
    for pack in map(load_pack, shipped_packs()):
        shown = ", ".join(concept.phrase for concept in pack.concepts)
        words = "" if pack.sensitive else f" {shown}."
        table.add_row(pack.name, f"version {pack.version}", f"{pack.description}{words}")
    return table


def tasks(folder: Path) -> Table:
    """The tasks that ship with the package, and those in ``folder``."""
    from trace_erasure.evaluation.tasks.loader import describe, task_paths

    table = make_table(
        f"Tasks; put files of your own into {folder}", "name", "version", "", "needs"
    )
    for name, path in task_paths(folder).items():
        try:
            table.add_row(name, *describe(path))
        except InputError as error:  # one broken file hides no other
            table.add_row(name, "", f"cannot be used: {error}", "")
    return table


def objectives() -> Table:
    """The objectives of the finetune."""
    from trace_erasure.math.objectives import OBJECTIVES

    table = make_table("Objectives of the finetune", "name", "loss")
    for name, objective in OBJECTIVES.items():
        table.add_row(name, (objective.__doc__ or "").splitlines()[0])
    return table


def cached_files(files: Sequence[Kept]) -> Table:
    """What is kept on disk between runs, by what it is."""
    table = make_table("", "holds", "files", "MB")
    for name in sorted({one.name for one in files}):
        own = [one.size for one in files if one.name == name]
        table.add_row(name or "left by a killed run", str(len(own)), f"{sum(own) / 1e6:.1f}")
    return table


def recipes() -> Table:
    """The published evaluations that can be reproduced, and what each needs."""
    from trace_erasure.reproduce.recipe import load_recipe, recipe_names

    table = make_table(
        "Published evaluations; `reproduce NAME --check` has more", "name", "", "needs"
    )
    for name in recipe_names():
        recipe = load_recipe(name)
        needs = [*(["prompts"] if recipe.lists else []), *recipe.needs]
        table.add_row(name, recipe.title, ", ".join(needs))
    return table
