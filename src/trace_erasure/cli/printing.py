"""What the command line prints: tables of what there is, and of what was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from trace_erasure.artifact.header import Header
from trace_erasure.concepts.concept import recorded

if TYPE_CHECKING:
    from trace_erasure.evaluation.report.tables import Number
    from trace_erasure.evaluation.report.tables import Table as Figures
    from trace_erasure.guarantees.certify import Guarantee
    from trace_erasure.guarantees.forecast import Outlook
    from trace_erasure.guarantees.path_kl import PathKL


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
    _add_record(table, record)
    _add_merged(table, record["merged"])
    table.add_row("written", str(file))
    table.add_row("time", f"{seconds:.1f} s")
    return table


def _add_merged(table: Table, merged: Mapping[str, Any]) -> None:
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
    for concept in recorded(record):
        also = f" (and {', '.join(concept.synonyms)})" if concept.synonyms else ""
        table.add_row(concept.kind, f"{concept.name}{also} → {concept.surrogate}")
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


# Certificates ---------------------------------------------------------------------------


def about_guarantee(found: Guarantee) -> list[Table]:
    """A certificate: the exact part, the statistical part, what it does not cover."""
    exact = found.exact
    facts = _table(f"{found.title}: exact part")
    facts.add_row("verdict", _verdict(found))
    worst = max(exact.prompts, key=lambda prompt: exact.prompts[prompt])
    facts.add_row(
        "listed prompts",
        f"{len(exact.prompts)}; worst residual {exact.prompts[worst]:.2g}: {worst}",
    )
    facts.add_row("surrogate", f"moved by {exact.surrogate:.2g} at worst")
    facts.add_row("empty prompt", f"moved by {exact.empty_prompt:.2g}")
    facts.add_row("recovery margin", f"{exact.recovery_margin:.2g}")
    if exact.capacity is not None:
        facts.add_row("capacity used", f"{exact.capacity:.0%}")
    if exact.pooled_path != "none":
        facts.add_row("pooled path", exact.pooled_path)
    if exact.deep:
        facts.add_row("deeper layers", f"{len(exact.deep)} changed, e.g. {exact.deep[0]}")
    roles = _table(
        "Residual by position", "stream", "position", "columns", "moved", "residual", "worst",
        "unmoved change",
    )  # fmt: skip
    for row in exact.positions:
        moving = (f"{row.residual:.2g}", f"{row.worst:.2g}") if row.moved else ("", "")
        still = f"{row.unmoved:.2g}" if row.moved < row.columns else ""
        roles.add_row(row.stream, row.role, str(row.columns), str(row.moved), *moving, still)
    tables = [facts, roles]
    tables += [_path_table(found, kl) for kl in (found.concept, found.retained) if kl]
    rest = _table("Not covered")
    for line in found.not_covered:
        rest.add_row("·", line)
    return [*tables, rest]


def _verdict(found: Guarantee) -> str:
    if found.exact.holds:
        return (
            "exact: on the listed prompts the erased model is the original on the surrogate's "
            "prompts, for every seed, sampler and guidance scale"
        )
    if found.exact.pooled_path == "open":
        return "not exact: the pooled path is open"
    return "not exact: the figures below say how far from it"


def _path_table(found: Guarantee, kl: PathKL) -> Table:
    about = f"{found.sampler}, {found.steps} steps, guidance {found.guidance_scale:g}"
    table = _table(f"Statistical part: {kl.comparison}")
    table.add_row("sampler", about)
    table.add_row("paths", f"{kl.paths} over {kl.prompts} prompts")
    for name, part in (("KL", kl.total), ("early", kl.early), ("late", kl.late)):
        side = {"early": f" above noise level {found.noise_level:.2f}", "late": " below it"}
        text = f"{part.value:.3g} nats{side.get(name, '')}, 95 % {part.low:.3g} to {part.high:.3g}"
        table.add_row(name, text)
    if kl.vacuous:
        table.add_row("any detector", f"vacuous: |ΔPr| ≤ {kl.detector:.3g} says next to nothing")
    else:
        table.add_row("any detector", f"|ΔPr| ≤ {kl.detector:.3g}, averaged over the prompts")
    table.add_row(
        f"at level {found.noise_level:.2f}", f"|ΔPr| ≤ {kl.state:.3g} for the state there"
    )
    if kl.vacuous and kl.informative_down_to is not None:
        table.add_row("says something", f"of states down to level {kl.informative_down_to:.2f}")
    return table


def about_outlook(found: Outlook, most: int) -> list[Table]:
    """A forecast: the names that will change most, better plans, what it must cost."""
    concept = found.concept
    title = f"Erasing {concept.phrase} → {concept.surrogate}: change of other names"
    names = _table(title, "name", "network", "text", "")
    for row in found.names[:most]:
        mark = "suffers" if row.suffers else ""
        names.add_row(row.name, f"{row.network:.2f}", f"{row.text:.3f}", mark)
    plans = _table(
        "Plans by mean change of the text", "surrogate", "retain as well", "mean", "worst",
        "residual",
    )  # fmt: skip
    for plan in (*found.better, found.planned):
        kept = ", ".join(plan.retain) or "nothing named"
        figures = (f"{plan.mean:.3f}", f"{plan.worst:.3f}", f"{plan.residual:.2f}")
        plans.add_row(f"{plan.surrogate}{'' if plan in found.better else ' (as it is)'}", kept,
                      *figures)  # fmt: skip
    curve = _table(
        "Least collateral of any edit, as a share of the concept's own change",
        "at residual",
        "costs",
    )
    for residual, cost in found.curve:
        curve.add_row(f"{residual:.2f}", "cannot be had" if cost == float("inf") else f"{cost:.3f}")
    notes = _table("Warnings" if found.warnings else "No warnings")
    for line in found.warnings:
        notes.add_row("·", line)
    return [names, plans, curve, notes]


# Listings ---------------------------------------------------------------------------------


def attacks() -> Table:
    """What `attack` can run."""
    from trace_erasure.attacks.registry import ATTACKS

    table = _table("Attacks, and probes beyond prompts", "name", "", "what it does")
    for name, entry in ATTACKS.items():
        table.add_row(name, "probe" if entry.probe else "", entry.about)
    return table


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
    from trace_erasure.pipeline.families.registry import FAMILIES

    table = _table("Model families", "family", "pipelines", "LoRA keys")
    for family in FAMILIES:
        table.add_row(family.name, ", ".join(family.pipelines), family.lora_keys)
    return table


def models() -> Table:
    """The shipped models and where they are."""
    from trace_erasure.pipeline import shipped

    table = _table("Shipped models; a folder of your own does as well", "name", "folder")
    for name in shipped.PIPELINES:
        table.add_row(name, str(shipped.path(name)))
    return table


def tasks(folder: Path) -> Table:
    """The tasks that ship with the package, and those in ``folder``."""
    from trace_erasure.evaluation.tasks.loader import describe, task_paths

    table = _table(f"Tasks; put files of your own into {folder}", "name", "version", "", "needs")
    for name, path in task_paths(folder).items():
        table.add_row(name, *describe(path))
    return table


def objectives() -> Table:
    """The objectives of the finetune."""
    from trace_erasure.math.objectives import OBJECTIVES

    table = _table("Objectives of the finetune", "name", "loss")
    for name, objective in OBJECTIVES.items():
        table.add_row(name, (objective.__doc__ or "").splitlines()[0])
    return table
