"""What every artifact's record says of it, whatever made it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version

from trace_erasure import __version__
from trace_erasure.concepts.concept import Concept


def heading(concepts: Sequence[Concept]) -> dict[str, str]:
    """``title`` and ``description``, which model browsers show."""
    names = ", ".join(concept.name for concept in concepts)
    return {
        "title": f"Erases: {names}",
        "description": f"Removes {names} from text-to-image generation. Use at strength 1.",
    }


def versions() -> dict[str, str]:
    """Of the packages that made it."""
    return {
        "trace-erasure": __version__,
        **{package: version(package) for package in ("torch", "diffusers", "peft")},
        "python": platform.python_version(),
    }
