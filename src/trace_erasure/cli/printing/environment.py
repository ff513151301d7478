"""What ``doctor`` found, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from trace_erasure.cli.printing.console import make_table


def tables_of(found: Mapping[str, Any]) -> Iterator[Table]:
    """Versions, places to run, and extras."""
    versions = make_table(f"trace-erasure {found['version']}", "package", "version")
    for name in ("python", "system", "cores"):
        versions.add_row(name, found[name])
    for name, version in found["packages"].items():
        versions.add_row(name, version or "missing")
    yield versions
    places = make_table("Where and what to run", "", "")
    for device in found["devices"]:
        places.add_row("device", device)
    for name, folder in found["models"].items():
        places.add_row(f"model {name}", folder)
    if found["models_note"]:
        places.add_row("models", found["models_note"])
    cache = found["cache"]
    places.add_row("cache", f"{cache['folder']}, {cache['bytes'] / 2**20:.1f} MiB")
    yield places
    extras = make_table("Extras", "extra", "")
    for name, there in found["extras"].items():
        extras.add_row(name, "installed" if there else f"pip install 'trace-erasure[{name}]'")
    yield extras
