"""Where an artifact comes from: the header entry that is read before anything else."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, MinLen
from pydantic import BaseModel, ConfigDict, ValidationError
from typing_extensions import TypedDict

from trace_erasure import __version__
from trace_erasure.artifact.record import Record
from trace_erasure.artifact.typed import Typed
from trace_erasure.concepts.concept import Concept
from trace_erasure.errors import InputError
from trace_erasure.pipeline.fingerprint import Fingerprint

FORMAT = 2
PROVENANCE = "trace_erasure"
"""The header entry that holds it, as JSON."""
LARGEST = 16_000_000
"""Characters of that entry: a thousand concepts need a tenth of it."""

Rank = Annotated[int, Ge(0)]


class Provenance(Typed):
    """What a header says of its file.

    Attributes:
        format: of the file; see ``FORMAT``.
        family: name of the model family.
        base: the fingerprint of the model that it was made on.
        ranks: module path to the ranks of its closed-form and its trained part.
        record: how it was made; see ``Record``.
    """

    format: int
    family: str
    base: Fingerprint
    ranks: Annotated[dict[str, tuple[Rank, Rank]], MinLen(1)]
    record: Record


class _Format(BaseModel):
    model_config = ConfigDict(strict=True)
    format: int


def parse(text: str, file: Path) -> Provenance:
    """The provenance in a header entry.

    Raises:
        InputError: it is not JSON, of another format, or a field is missing or wrong; the message
            names ``file`` and the field.
    """
    if len(text) > LARGEST:
        raise InputError(
            f"{file}: the header entry {PROVENANCE!r} has {len(text)} characters, and at most "
            f"{LARGEST} are read. Make the erasure again."
        )
    try:
        found = _Format.model_validate_json(text).format
        if found != FORMAT:
            remedy = "Upgrade trace-erasure." if found > FORMAT else "Make the erasure again."
            raise InputError(
                f"{file} has format {found}, and this version reads {FORMAT}. {remedy}"
            )
        return Provenance.model_validate_json(text)
    except ValidationError as error:
        raise invalid(file, PROVENANCE, error) from error


def invalid(file: Path | str, entry: str, error: ValidationError) -> InputError:
    """The first problem of a header entry as one sentence that names the file and the field."""
    first, *others = error.errors(include_url=False, include_context=False)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    more = f" ({len(others)} further problems)" if others else ""
    value = repr(first["input"])
    shown = f", got {value}" if len(value) <= 60 and first["type"] != "missing" else ""
    return InputError(
        f"{file}: the header entry {entry + field!r} cannot be read: {first['msg']}{shown}{more}. "
        "Copy the file again from its source, or make the erasure again."
    )


class Heading(TypedDict):
    """What model browsers show of a file."""

    title: str
    description: str


def heading(concepts: Sequence[Concept]) -> Heading:
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
