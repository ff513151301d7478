"""The tables of README and docs, read from ``labels.yaml`` and ``pages/*.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from benchmarks.tables.schema import (
    Column,
    ColumnsSource,
    LabelsSource,
    Page,
    Shared,
    Strict,
    Table,
    TableSource,
)
from trace_erasure.errors import InputError

FOLDER = Path(__file__).parent
S = TypeVar("S", bound=Strict)


def read_tables(folder: Path = FOLDER) -> dict[str, Table]:
    """All tables by name, in the order of their pages' files.

    Raises:
        InputError: a file is no YAML of its schema, a name is used that is not there, or a table
            is defined twice.
    """
    shared = _read(Shared, folder / "labels.yaml")
    sources: dict[str, tuple[TableSource, Page]] = {}
    for file in sorted((folder / "pages").glob("*.yaml")):
        page = _read(Page, file)
        for name, source in page.tables.items():
            if name in sources:
                raise InputError(f"{file}: table {name!r} stands on {sources[name][1].page}, too.")
            sources[name] = source, page
    return {name: _table(name, sources, shared) for name in sources}


def _read(kind: type[S], file: Path) -> S:
    try:
        return kind.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise InputError(f"{file}: {error}") from error


def _table(name: str, sources: Mapping[str, tuple[TableSource, Page]], shared: Shared) -> Table:
    source, page = sources[name]
    own = source.model_dump(exclude_none=True, exclude={"columns"})
    if source.columns is not None:
        own["columns"] = source.columns
    if source.like is not None:
        own = _inherited(name, own, sources) | own
    del_keys = {"like"}
    fields: dict[str, Any] = {"code": page.code, "page": page.page}
    fields |= {key: value for key, value in own.items() if key not in del_keys}
    for key in ("tasks", "methods", "judges"):
        if key in fields:
            fields[key] = _labels(name, fields[key], shared)
    if "columns" in fields:
        fields["columns"] = _columns(name, fields["columns"], shared)
    lacking = {"tasks", "methods", "judges", "columns", "command"} - fields.keys()
    if lacking:
        raise InputError(f"table {name!r} lacks its {', '.join(sorted(lacking))}.")
    return Table(**fields)


def _inherited(
    name: str, own: Mapping[str, Any], sources: Mapping[str, tuple[TableSource, Page]]
) -> dict[str, Any]:
    """What ``like`` gives; a script measures one model, a target of make both."""
    if own["like"] not in sources:
        raise InputError(f"table {name!r} is like {own['like']!r}, which is no table.")
    other = sources[own["like"]][0]
    if other.like is not None:
        raise InputError(f"table {name!r} is like {own['like']!r}, which is like another itself.")
    found = other.model_dump(exclude_none=True, exclude={"columns", "code"})
    found["columns"] = other.columns
    if "model" in own and not found["command"].startswith("make "):
        found["command"] += f" --model {own['model']}"
    return found


def _labels(name: str, source: LabelsSource, shared: Shared) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in source if isinstance(source, list) else [source]:
        if isinstance(part, str) and part not in shared.labels:
            raise InputError(f"table {name!r}: labels.yaml has no labels {part!r}.")
        found |= shared.labels[part] if isinstance(part, str) else part
    return found


def _columns(name: str, source: ColumnsSource, shared: Shared) -> tuple[Column, ...]:
    found: list[Column] = []
    for part in source if isinstance(source, list) else [source]:
        if isinstance(part, str) and part not in shared.columns:
            raise InputError(f"table {name!r}: labels.yaml has no columns {part!r}.")
        found += shared.columns[part] if isinstance(part, str) else [part]
    return tuple(found)
