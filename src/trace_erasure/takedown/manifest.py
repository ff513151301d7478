"""The manifest beside a merged file: for whom it erases what, from which model, by which files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trace_erasure.pipeline.fingerprint import digest_of
from trace_erasure.takedown.bases import Base
from trace_erasure.takedown.concept_text import concept_data
from trace_erasure.takedown.products import Artifact
from trace_erasure.takedown.requests import Request
from trace_erasure.takedown.settings import Settings
from trace_erasure.utils.atomic import atomic

FORMAT = 1


@dataclass(frozen=True)
class Merged:
    """The merged file: its name, and SHA-256 of its bytes."""

    file: str
    sha256: str


def contents(
    base: Base,
    settings: Settings,
    listed: Sequence[Request],
    parts: Sequence[Artifact],
    merged: Merged | None,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """What the manifest of ``merged`` says, as JSON holds it.

    Requests that were withdrawn are not in it. A model's folder is named without what is above it.
    ``versions`` are those of the packages that merged.
    """
    standing = [request for request in listed if request.stands]
    name = asdict(base.name) | {"model": _short(base.name.model)}
    return {
        "format": FORMAT,
        "base": name | {"family": base.family, "fingerprint": base.fingerprint},
        "settings": asdict(settings),
        "merged": None if merged is None else asdict(merged),
        "concepts": [
            {
                "concept": concept_data(part.concept),
                "requests": [r.id for r in standing if part.concept_id in r.concepts],
                "artifact": {"file": part.file, "sha256": part.sha256},
                "verdict": part.verdict,
                "report": part.report,
            }
            for part in parts
        ],
        "requests": [
            {
                "id": request.id,
                "reference": request.reference,
                "concepts": [concept.name for concept in request.concepts.values()],
                "added_by": request.added_by,
                "added_at": request.added_at,
            }
            for request in standing
        ],
        "versions": dict(versions),
    }


def name_of(content: Mapping[str, Any]) -> str:
    """Names what a manifest says, whoever made it when."""
    return digest_of(content)


def write(folder: Path, content: Mapping[str, Any], by: str | None, at: str) -> tuple[str, str]:
    """Writes a manifest into ``folder``, whole or not at all; returns its name and its SHA-256.

    The name is that of the content, so that no other manifest is replaced. Raises ``InputError``
    where it cannot be written.
    """
    whole = {**content, "built_by": by, "built_at": at}
    data = (json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    digest = hashlib.sha256(data).hexdigest()
    file = folder / f"manifest-{digest[:12]}.json"
    with atomic(file) as partial, partial.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    return file.name, digest


def _short(model: str) -> str:
    return Path(model).name if Path(model).is_absolute() else model
