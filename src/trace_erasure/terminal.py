"""What the command line prints: tables of what there is, and of what was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from trace_erasure.header import Header

if TYPE_CHECKING:
    from trace_erasure.evaluate.tables import Number
    from trace_erasure.evaluate.tables import Table as Figures


def print_table(table: Table) -> None:
    """Prints on stdout."""
    Console(highlight=False, markup=False).print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_header=bool(columns),
        box=None,
        pad_edge=False,
    )
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


# Artifacts --------------------------------------------------------------------------------


def about_erasure(record: Mapping[str, Any], file: Path, seconds: float) -> Table:
    """What was just made."""
    table = _table(record["title"])
    _add_record(table, record)
    table.add_row("written", f"{file} and {file.with_suffix('.yaml').name}")
    table.add_row("time", f"{seconds:.1f} s")
    return table


def about_merged(record: Mapping[str, Any], file: Path, seconds: float) -> Table:
    """What was just put together."""
    table = _table(record["title"])
    _add_merged(table, record["merged"])
    table.add_row("written", str(file))
    table.add_row("time", f"{seconds:.1f} s")
    return table


def _add_merged(table: Table, merged: Mapping[str, Any]) -> None:
    for concept in merged["concepts"]:
        beside = f" with {concept['only_with']}" if concept["only_with"] else ""
        table.add_row(concept["kind"], f"{concept['phrase']}{beside} → {concept['surrogate']}")
    for stream, capacity in merged["capacity"].items():
        for name, value in _room(capacity):
            table.add_row(f"{name} ({stream})", value)
    strengths = merged["strengths"]
    if any(strength != 1 for strength in strengths):
        table.add_row("strengths", ", ".join(f"{strength:g}" for strength in strengths))
    lost = max(merged["discarded"].values())
    table.add_row("discarded", f"{lost:.2g} of the energy, by the rank")


def about_capacity(stream: str, capacity: Mapping[str, Any]) -> Table:
    """What one stream of text has room for."""
    table = _table(f"Capacity of {stream}")
    for name, value in _room(capacity):
        table.add_row(name, value)
    for trial in capacity["trials"]:
        worst, mean = max(trial["residuals"]), sum(trial["residuals"]) / len(trial["residuals"])
        way = f"{trial['directions']} directions" if trial["directions"] else trial["mode"]
        table.add_row(
            way,
            f"{trial['needed']:.0%} of the dimensions, residual {mean:.2f}, at worst {worst:.2f}, "
            f"collateral {trial['collateral']:.2g}",
        )
    return table


def _room(capacity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    each = f"{capacity['directions']} directions each" if capacity["directions"] else "no exactness"
    yield "solved by", f"{capacity['mode']}, {each}"
    yield "asked for", f"{capacity['needed']:.0%} of {capacity['width']} dimensions"
    yield "most concepts", f"{capacity['most']} with one direction each"
    worst = max(capacity["residuals"].items(), key=lambda item: item[1])
    yield "residual", f"at worst {worst[1]:.2f} ({worst[0]})"
    for first, second, overlap in capacity["collisions"]:
        yield "collide", f"{first} and {second}, overlap {overlap:.2f}"


def about_header(file: Path, header: Header) -> Table:
    """What a file says of itself."""
    record, base = header.provenance["record"], header.provenance["base"]
    ranks = header.provenance["ranks"].values()
    hashes = ", ".join(f"{kind} {value[:12]}" for kind, value in base["sha256"].items())
    table = _table(record.get("title", "Concept erasure"))
    table.add_row("file", f"{file}, {header.size / 1000:.0f} kB")
    table.add_row("family", header.provenance["family"])
    table.add_row("made on", f"{base['pipeline']}, {base['prediction_type']}, {hashes}")
    table.add_row("change", f"{len(ranks)} layers, rank {max(map(sum, ranks))}")
    _add_record(table, record)
    if "merged" in record:
        _add_merged(table, record["merged"])
    for package, number in record.get("versions", {}).items():
        table.add_row(package, number)
    return table


def _add_record(table: Table, record: Mapping[str, Any]) -> None:
    for concept in record.get("spec", {}).get("concepts", ()):
        also = f" (and {', '.join(concept['synonyms'])})" if concept["synonyms"] else ""
        table.add_row(concept["kind"], f"{concept['phrase']}{also} → {concept['surrogate']}")
    for name, value in _figures(record):
        table.add_row(name, value)


def _figures(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The certificate and the noise level of a record, in words."""
    certificate, finetune = record.get("certificate"), record.get("finetune")
    if certificate:
        listed, unseen = certificate["residual_listed"], certificate["residual_held_out"]
        retained = max(certificate["retained"].values(), default=0.0)
        yield "residual", f"{listed:.2g}, in unseen wordings {unseen:.2g}"
        yield "collateral", f"{certificate['expected_collateral']:.2g} on broad captions"
        yield "retained", f"{retained:.2g} at worst, empty prompt {certificate['empty_prompt']:.2g}"
        yield "recovery margin", f"{certificate['recovery_margin']:.2g}"
        if certificate["pooled_path"] != "none":
            yield "pooled path", certificate["pooled_path"]
    if finetune:
        yield "noise level", f"steered at or below {finetune['noise_level']:.2f}"


def measured(figures: Figures) -> Table:
    """A table of an evaluation, every interval and count below its figure."""
    table = _table(figures.title, *figures.columns)
    for row in figures.rows:
        table.add_row(*(cell if isinstance(cell, str) else _number(cell) for cell in row))
    table.caption, table.caption_justify = figures.caption, "left"
    return table


def _number(cell: Number) -> str:
    return f"{cell.text}\n{cell.detail}" if cell.detail else cell.text


# Listings ---------------------------------------------------------------------------------


def concepts() -> Table:
    """What the shipped model can draw."""
    from trace_erasure.world import load_world
    from trace_erasure.world.vocabulary import OBJECT_GROUPS

    world = load_world()
    table = _table("What emoji-sd can draw, and lose", "kind", "group", "concepts")
    for group in OBJECT_GROUPS:
        table.add_row("object", group, ", ".join(thing.name for thing in world.group(group)))
    table.add_row("style", "styles", ", ".join(world.styles.values()))
    table.add_row("identity", "people", ", ".join(world.people))
    return table


def families() -> Table:
    """The supported architectures."""
    from trace_erasure.families.registry import FAMILIES

    table = _table("Model families", "family", "pipelines", "LoRA keys")
    for family in FAMILIES:
        table.add_row(family.name, ", ".join(family.pipelines), family.lora_keys)
    return table


def models() -> Table:
    """The shipped models and where they are."""
    from trace_erasure import embedded

    table = _table("Shipped models; a folder of your own does as well", "name", "folder")
    for name in embedded.PIPELINES:
        table.add_row(name, str(embedded.path(name)))
    return table


def tasks(folder: Path) -> Table:
    """The tasks that ship with the package, and those in ``folder``."""
    from trace_erasure.evaluate.task_file import list_tasks, load_task

    table = _table(
        f"Tasks; put files of your own into {folder}", "name", "version", "pictures", "concepts", ""
    )
    for name in list_tasks(folder):
        task = load_task(name, folder)
        items, concepts = f"{len(task.items)}", f"{len(task.concepts)}"
        table.add_row(name, str(task.version), items, concepts, task.description)
    return table


def objectives() -> Table:
    """The objectives of the finetune."""
    from trace_erasure.math.objectives import OBJECTIVES

    table = _table("Objectives of the finetune", "name", "loss")
    for name, objective in OBJECTIVES.items():
        table.add_row(name, (objective.__doc__ or "").splitlines()[0])
    return table
