"""A ledger as JSON holds it: models, requests, and where each stands."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from trace_erasure.takedown.bases import Base
from trace_erasure.takedown.concept_text import concept_data
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import Artifact, artifacts
from trace_erasure.takedown.requests import Request
from trace_erasure.takedown.standing import Standings


def as_data(ledger: Ledger, found: Standings) -> dict[str, Any]:
    """All of it: the settings, the models with their files, the requests with their states."""
    made = {base.folder: artifacts(ledger, base) for base, _ in found.builds}
    return {
        "ledger": str(ledger.path),
        "settings": asdict(ledger.settings),
        "models": [
            {
                **asdict(base.name),
                "folder": str(ledger.files / base.folder),
                "fingerprint": base.fingerprint,
                "file": build and build.file,
                "sha256": build and build.sha256,
                "manifest": build and build.manifest,
                "built_by": build and build.built_by,
                "built_at": build and build.built_at,
                "up_to_date": build is not None and found.up_to_date(base.folder),
            }
            for base, build in found.builds
        ],
        "requests": [
            _request(request, found.states[request.id], found.builds, made)
            for request in found.requests
        ],
    }


def _request(
    request: Request,
    states: dict[str, str],
    builds: list[tuple[Base, Any]],
    made: dict[str, dict[str, Artifact]],
) -> dict[str, Any]:
    return {
        "id": request.id,
        "reference": request.reference,
        "stands": request.stands,
        "concepts": [concept_data(concept) for concept in request.concepts.values()],
        "added_by": request.added_by,
        "added_at": request.added_at,
        "withdrawn_by": request.withdrawn_by,
        "withdrawn_at": request.withdrawn_at,
        "reason": request.reason,
        "states": states,
        "artifacts": [
            {
                "model": base.name.model,
                "file": artifact.file,
                "sha256": artifact.sha256,
                "verdict": artifact.verdict,
                "report": artifact.report,
            }
            for base, _ in builds
            for artifact in made[base.folder].values()
            if artifact.concept_id in request.concepts
        ],
    }
