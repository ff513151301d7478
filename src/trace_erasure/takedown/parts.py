"""The erasures of single concepts that a build merges: made where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trace_erasure.artifact.storage import SUFFIX
from trace_erasure.concepts.concept import Concept
from trace_erasure.config import EraseConfig, FinetuneConfig
from trace_erasure.config_file import slug
from trace_erasure.errors import InputError
from trace_erasure.pipeline.fingerprint import digest_of
from trace_erasure.takedown.bases import Base
from trace_erasure.takedown.concept_text import concept_data
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import Artifact, artifacts, file_sha256, record_artifacts
from trace_erasure.takedown.requests import Request, active, requests
from trace_erasure.takedown.settings import Settings
from trace_erasure.trace.erase_each import make_one
from trace_erasure.utils.progress import progress


@dataclass(frozen=True)
class Parts:
    """What there is to merge.

    Attributes:
        requests: the ledger's, at the moment that counts.
        parts: one a standing concept.
        count: how many of them were made just now.
    """

    requests: list[Request]
    parts: list[Artifact]
    count: int


def make_parts(
    ledger: Ledger,
    pipe: Any,
    base: Base,
    captions: Sequence[str] | None,
    by: str | None,
    at: str,
) -> Parts:
    """An erasure for each concept that a standing request asks for.

    Requests that come or go meanwhile count. Raises ``InputError`` as ``build`` does.
    """
    count, settings = 0, ledger.settings
    while True:
        listed = requests(ledger)
        keys = {
            key_of(concept, settings, captions): (number, concept)
            for number, concept in active(listed).items()
        }
        known = _intact(ledger, base, keys)
        missing = {key: found for key, found in keys.items() if key not in known}
        if not missing:
            return Parts(listed, [known[key] for key in keys], count)
        failed: dict[int, str] = {}
        for key, (number, concept) in progress(missing.items(), desc="concepts"):
            try:
                made = _make(ledger, pipe, base, (number, concept, key), captions)
            except InputError as error:
                failed[number] = f"{concept.name!r} ({_asked_by(listed, number)}): {error}"
                continue
            record_artifacts(ledger, base, [made], by, at)
            count += 1
        if failed:
            raise InputError(
                f"{len(failed)} of {len(keys)} concepts cannot be erased from {base.name.model}. "
                f"{' '.join(failed.values())} Withdraw these requests, or correct and add them "
                "again; the other erasures are made and stay."
            )


def key_of(concept: Concept, settings: Settings, captions: Sequence[str] | None) -> str:
    """Names what decides an erasure on a given model."""
    return digest_of([concept_data(concept), asdict(settings), list(captions or ())])


def _make(
    ledger: Ledger,
    pipe: Any,
    base: Base,
    wanted: tuple[int, Concept, str],
    captions: Sequence[str] | None,
) -> Artifact:
    number, concept, key = wanted
    settings = ledger.settings
    spec = EraseConfig(
        (concept,),
        finetune=FinetuneConfig() if settings.finetune else None,
        seed=settings.seed,
        hardening=settings.hardening,
    )
    path = f"{base.folder}/parts/{slug(concept.name)}-{key}{SUFFIX}"
    record = make_one(pipe, spec, ledger.files / path, captions).record.to_dict()
    return Artifact(
        id=0,
        concept_id=number,
        concept=concept,
        key=key,
        file=path,
        sha256=file_sha256(ledger.files / path),
        verdict=record["verdict"],
        report=record["certificate"],
    )


def _intact(ledger: Ledger, base: Base, wanted: dict[str, Any]) -> dict[str, Artifact]:
    """Key to erasure of those that are there. Raises ``InputError`` for a file that was changed."""
    found = {}
    for key, artifact in artifacts(ledger, base).items():
        file = ledger.files / artifact.file
        if key not in wanted or not file.is_file():
            continue
        if file_sha256(file) != artifact.sha256:
            raise InputError(
                f"{file} was changed since it was made. Put back a copy of it, or delete it to "
                "have it made again."
            )
        found[key] = artifact
    return found


def _asked_by(listed: Sequence[Request], concept: int) -> str:
    numbers = [str(request.id) for request in listed if concept in request.concepts]
    return f"request {', '.join(numbers)}"
