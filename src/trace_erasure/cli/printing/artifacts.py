"""Tables of erasures: what was made, and what a file's header holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from trace_erasure.artifact.capacity import Capacity
from trace_erasure.artifact.header import Header
from trace_erasure.artifact.record import MergeDetails, MergedRecord, Record
from trace_erasure.cli.printing.console import make_table


def about_erasure(record: Record, file: Path, seconds: float) -> Table:
    """What was just made."""
    table = make_table(record.title)
    _add_record(table, record)
    table.add_row("written", f"{file} and {file.with_suffix('.yaml').name}")
    table.add_row("time", f"{seconds:.1f} s")
    return table


def made_data(record: Record, file: Path, seconds: float) -> dict[str, Any]:
    """What was just made, as JSON holds it; words of sensitive concepts are digests."""
    verdict = record.verdict
    return {
        "file": str(file),
        "title": record.title,
        "concepts": [
            {
                "concept": one.name,
                "kind": one.kind,
                "surrogate": one.surrogate,
                "along": [] if one.sensitive else [*one.synonyms, *one.descriptions],
            }
            for one in record.concepts
        ],
        "verdict": None if verdict is None else verdict.model_dump(mode="json"),
        "certificate": None if record.certificate is None else asdict(record.certificate),
        "seconds": seconds,
    }


def about_pack(record: Record, file: Path, seconds: float) -> Table:
    """What was just made of a pack."""
    if record.kind == "merge":
        return about_merged(record, file, seconds)
    table = make_table(record.title)
    _add_record(table, record)
    table.add_row("written", str(file))
    table.add_row("time", f"{seconds:.1f} s")
    return table


def about_merged(record: MergedRecord, file: Path, seconds: float) -> Table:
    """What was just put together."""
    table = make_table(record.title)
    _add_record(table, record)
    _add_merged(table, record.merged)
    table.add_row("written", str(file))
    table.add_row("time", f"{seconds:.1f} s")
    return table


def _add_merged(table: Table, merged: MergeDetails) -> None:
    for stream, capacity in merged.capacity.items():
        for name, value in _room(capacity):
            table.add_row(f"{name} ({stream})", value)
    strengths = merged.strengths
    if any(strength != 1 for strength in strengths):
        table.add_row("strengths", ", ".join(f"{strength:g}" for strength in strengths))
    lost = max(merged.discarded.closed_form, merged.discarded.finetuned)
    table.add_row("discarded", f"{lost:.2g} of the energy, by the rank")


def about_capacity(stream: str, capacity: Capacity) -> Table:
    """What one stream of text has room for."""
    table = make_table(f"Capacity of {stream}")
    for name, value in _room(capacity):
        table.add_row(name, value)
    for trial in capacity.trials:
        worst, mean = max(trial.residuals), sum(trial.residuals) / len(trial.residuals)
        way = f"{trial.directions} directions" if trial.directions else trial.mode
        table.add_row(
            way,
            f"{trial.needed:.0%} of the dimensions, residual {mean:.2f}, at worst {worst:.2f}, "
            f"collateral {trial.collateral:.2g}",
        )
    return table


def _room(capacity: Capacity) -> Iterator[tuple[str, str]]:
    each = f"{capacity.directions} directions each" if capacity.directions else "no exactness"
    yield "solved by", f"{capacity.mode}, {each}"
    yield "asked for", f"{capacity.needed:.0%} of {capacity.width} dimensions"
    yield "most concepts", f"{capacity.most} with one direction each"
    worst = max(capacity.residuals.items(), key=lambda item: item[1])
    yield "residual", f"at worst {worst[1]:.2f} ({worst[0]})"
    for first, second, overlap in capacity.collisions:
        yield "collide", f"{first} and {second}, overlap {overlap:.2f}"


def about_header(file: Path, header: Header) -> Table:
    """The header of a file."""
    record, base = header.provenance.record, header.provenance.base
    ranks = header.provenance.ranks.values()
    hashes = ", ".join(f"{kind} {value[:12]}" for kind, value in base["sha256"].items())
    table = make_table(record.title)
    table.add_row("file", f"{file}, {header.size / 1000:.0f} kB")
    table.add_row("family", header.provenance.family)
    table.add_row("made on", f"{base['pipeline']}, {base['prediction_type']}, {hashes}")
    table.add_row("change", f"{len(ranks)} layers, rank {max(map(sum, ranks))}")
    _add_record(table, record)
    if record.kind == "merge":
        _add_merged(table, record.merged)
    for package, number in record.versions.items():
        table.add_row(package, number)
    return table


def _add_record(table: Table, record: Record) -> None:
    for concept in record.concepts:
        also = f" (and {', '.join(concept.synonyms)})" if concept.synonyms else ""
        if concept.sensitive and concept.synonyms:
            also = f" (and {len(concept.synonyms)} words more)"
        table.add_row(concept.kind, f"{concept.name}{also} → {concept.surrogate}")
    if record.verdict is not None:
        table.add_row("verdict", str(record.verdict))
        for text in record.verdict.advice:
            table.add_row("", text)
    for name, value in _figures(record):
        table.add_row(name, value)


def _figures(record: Record) -> Iterator[tuple[str, str]]:
    """The certificate and the noise level of a record, in words."""
    certificate = record.certificate
    finetune = record.finetune if record.kind == "trace" else None
    if certificate:
        listed, unseen = certificate.residual_listed, certificate.residual_held_out
        retained = max(certificate.retained.values(), default=0.0)
        yield "residual", f"{listed:.2g} on listed prompts, {unseen:.2g} held out (0 is exact)"
        yield (
            "collateral",
            f"{certificate.expected_collateral:.2g} relative squared change on ordinary captions",
        )
        yield (
            "retained",
            f"{retained:.2g} relative change at worst, empty prompt {certificate.empty_prompt:.2g}",
        )
        yield (
            "recovery margin",
            f"{certificate.recovery_margin:.2g} of concept − surrogate (0: some embedding "
            "restores the concept)",
        )
        if certificate.pooled_path != "none":
            yield "pooled path", certificate.pooled_path
    if finetune:
        yield "noise level", f"steered at or below {finetune.noise_level:.2f}"
