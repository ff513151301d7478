"""An erasure to and from one safetensors file that every LoRA loader reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.artifact import lora_file
from trace_erasure.artifact.header import MERGE_STATISTICS
from trace_erasure.artifact.merge_statistics import MergeStatistics, from_text, to_text
from trace_erasure.artifact.provenance import FORMAT, PROVENANCE, Provenance, parse
from trace_erasure.errors import InputError
from trace_erasure.math.lowrank import Delta, LowRank
from trace_erasure.pipeline.families import registry
from trace_erasure.pipeline.families.family import TOKENS, Family
from trace_erasure.utils.folders import check_path

if TYPE_CHECKING:
    from trace_erasure.artifact.erasure import Erasure

SUFFIX = ".safetensors"


def with_suffix(path: str | os.PathLike[str]) -> Path:
    """``path`` with ``.safetensors`` added where it is missing."""
    path = check_path("path", path)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def write(
    erasure: Erasure, path: Path, spelling: str | None = None, unchanged: Delta | None = None
) -> None:
    """Writes ``erasure``; see ``Erasure.save``.

    Args:
        spelling: of the tensors' names, one of ``lora_file.SPELLINGS``; None is the family's.
        unchanged: layers that get factors of rank 0, where a reader asks for their names.
    """
    delta = {**erasure.delta, **(unchanged or {})}
    parts = (erasure.closed_form, erasure.finetuned)
    provenance = Provenance(
        format=FORMAT,
        family=erasure.family,
        base=erasure.base,
        ranks={
            p: (parts[0][p].rank if p in parts[0] else 0, parts[1][p].rank if p in parts[1] else 0)
            for p in delta
        },
        record=erasure.record,
    )
    family = _family(erasure.family)
    readers = family.stream(TOKENS).maps
    widths = [change.shape[1] for module, change in delta.items() if readers.fullmatch(module)]
    metadata = lora_file.header(
        family,
        max(change.rank for change in delta.values()),
        provenance.model_dump(mode="json"),
        prediction=erasure.base["prediction_type"],
        title=erasure.record.title,
        description=erasure.record.description,
        date=erasure.record.date,
        text_width=widths[0] if widths else None,
    )
    if erasure.merge_statistics:
        metadata[MERGE_STATISTICS] = to_text(erasure.merge_statistics)
    if spelling not in (None, family.lora_keys):
        metadata[lora_file.SPELLING] = spelling
    lora_file.write(path, lora_file.state_dict(delta, family, spelling), metadata)


def read(path: Path) -> dict[str, Any]:
    """The fields of the erasure in a file; see ``Erasure.load``."""
    tensors, metadata = lora_file.read(path)
    provenance = parse(metadata[PROVENANCE], path)
    statistics: tuple[MergeStatistics, ...] = ()
    if MERGE_STATISTICS in metadata:
        statistics = from_text(metadata[MERGE_STATISTICS], path)
    try:
        family = _family(provenance.family)
        spelling = metadata.get(lora_file.SPELLING, family.lora_keys)
        if spelling not in lora_file.SPELLINGS:
            raise InputError(f"its header names the unknown spelling {spelling!r}")
        lora_file.check_tensors(tensors, family, provenance.ranks, spelling)
        _check_streams(statistics, family)
    except InputError as error:
        raise InputError(f"{path}: {error}. Copy it again from its source.") from error
    delta = lora_file.delta_of(tensors, family, provenance.ranks, spelling)
    closed_form, finetuned = {}, {}
    for module, (first, second) in provenance.ranks.items():
        down, up = delta[module].down, delta[module].up
        if first:
            closed_form[module] = LowRank(down[:first], up[:, :first])
        if second:
            rows = slice(first, first + second)
            finetuned[module] = LowRank(down[rows], up[:, rows])
    return {
        "family": provenance.family,
        "base": provenance.base,
        "closed_form": closed_form,
        "finetuned": finetuned,
        "record": provenance.record,
        "merge_statistics": statistics,
    }


def _family(name: str) -> Family:
    for family in registry.FAMILIES:
        if family.name == name:
            return family
    known = ", ".join(family.name for family in registry.FAMILIES)
    raise InputError(f"model family {name!r} is not supported here; supported: {known}")


def _check_streams(statistics: tuple[MergeStatistics, ...], family: Family) -> None:
    known = {stream.name for stream in family.streams}
    for one in statistics:
        if unknown := one.streams.keys() - known:
            raise InputError(
                f"its merge statistics name the text stream {sorted(unknown)[0]!r}, which "
                f"{family.name} does not have; it has: {', '.join(sorted(known))}"
            )
