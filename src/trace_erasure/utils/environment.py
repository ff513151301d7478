"""What is installed here and what it can do, for ``trace-erasure doctor`` and reports of bugs."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PACKAGE = "trace-erasure"
NAME = re.compile(r"[A-Za-z0-9._-]+")
EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
DEVELOPMENT = ("dev", "docs", "train", "release")
"""Extras that users have no need of."""


@dataclass(frozen=True)
class Installed:
    """A package that this one needs.

    Attributes:
        version: the one that is installed, or None.
        wanted: the bound, such as ``>=0.40,<1``.
        fits: whether it is installed and within the bound.
        extra: the extra that it belongs to; empty for what every use needs.
    """

    name: str
    version: str | None
    wanted: str
    fits: bool
    extra: str = ""


def installed() -> tuple[Installed, ...]:
    """Every package that this one names, those of extras for users included."""
    found = []
    for line in metadata.requires(PACKAGE) or ():
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        match = NAME.match(requirement)
        extra = EXTRA.search(marker)
        if match is None or (extra and extra[1] in DEVELOPMENT):
            continue
        name, wanted = match[0], requirement[match.end() :].strip()
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            version = None
        found.append(
            Installed(name, version, wanted, _fits(version, wanted), extra[1] if extra else "")
        )
    return tuple(found)


def _fits(version: str | None, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    # A local part, such as +cpu, does not count.
    return version is not None and SpecifierSet(wanted).contains(
        version.partition("+")[0], prereleases=True
    )


def system() -> dict[str, str]:
    """Python, the operating system, the number of cores."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
    }


def devices() -> tuple[str, ...]:
    """What pipelines can be put on, such as ``cuda:0 NVIDIA H200, 140 GiB``."""
    import torch

    found = [f"cpu, {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found.append(f"cuda:{index} {about.name}, {about.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def is_writable(folder: Path) -> bool:
    """Whether files can be made in ``folder``, or in the nearest of its parents that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def size_of(folder: Path) -> int:
    """Bytes of all files below ``folder``; 0 where there is none."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
