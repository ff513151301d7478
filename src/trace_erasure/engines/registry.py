"""Which engines there are. Listing them imports none of them."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from trace_erasure.engines.job import Engine
from trace_erasure.errors import InputError

LOCAL = "local"


@dataclass(frozen=True)
class Entry:
    """One name of ``--engine``: its class below ``engines``, and what has to be installed."""

    module: str
    kind: str
    package: str | None = None
    extra: str | None = None


ENGINES = {
    LOCAL: Entry("local", "LocalEngine"),
    "ray": Entry("ray_cluster", "RayEngine", "ray", "ray"),
    "slurm": Entry("slurm_array", "SlurmEngine", "submitit", "slurm"),
}


def options_of(texts: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` texts by name. Raises ``InputError`` for a text without a value."""
    found = {}
    for text in texts:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise InputError(f"engine option {text!r} cannot be read. Give NAME=VALUE.")
        found[name] = value
    return found


def engine_of(name: str, options: Mapping[str, str] | None = None) -> Engine:
    """The engine called ``name``.

    Args:
        options: its attributes by name; the rest go into ``parameters`` where it has them.

    Raises:
        InputError: there is none of that name, its package is not installed, or it has no such
            option.

    >>> engine_of("local")
    LocalEngine()
    """
    entry = ENGINES.get(name)
    if entry is None:
        raise InputError(f"engine is {name!r}; allowed: {', '.join(ENGINES)}.")
    if entry.package is not None and importlib.util.find_spec(entry.package) is None:
        raise InputError(
            f"engine {name} needs {entry.package}, which is not installed. "
            f"Run: pip install 'trace-erasure[{entry.extra}]'"
        )
    kind = getattr(importlib.import_module(f"trace_erasure.engines.{entry.module}"), entry.kind)
    known = [field.name for field in fields(kind) if field.name != "parameters"]
    own: dict[str, Any] = {key: text for key, text in (options or {}).items() if key in known}
    rest = {key: text for key, text in (options or {}).items() if key not in known}
    takes_others = len(known) < len(fields(kind))
    if rest and not takes_others:
        allowed = ", ".join(known) or "none"
        raise InputError(f"engine {name} has no option {min(rest)!r}; allowed: {allowed}.")
    if "timeout_min" in own:
        if not own["timeout_min"].isdecimal() or own["timeout_min"] == "0":
            raise InputError(f"timeout_min is {own['timeout_min']!r}; allowed: minutes, 1 or more.")
        own["timeout_min"] = int(own["timeout_min"])
    return kind(**own, **({"parameters": rest} if rest else {}))
