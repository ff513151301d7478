"""Tables and JSON of takedown ledgers."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table

from trace_erasure.cli.printing.console import make_table
from trace_erasure.math.verdict import FAILED, WEAK
from trace_erasure.takedown.bases import Base
from trace_erasure.takedown.concept_text import concept_data
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import Artifact, artifacts
from trace_erasure.takedown.requests import Request
from trace_erasure.takedown.standing import ERASED, WAITING, WITHDRAWN, Standings

if TYPE_CHECKING:
    from trace_erasure.takedown.builder import Built


def about_requests(ledger: Ledger, found: Standings) -> Table:
    """A row a request."""
    folders = [base.folder for base, _ in found.builds]
    table = make_table(
        f"Requests in {ledger.path}", "", "concepts", "reference", "added", "by",
        *(folders or ["state"]),
    )  # fmt: skip
    words = {
        base.folder: {one.concept_id: one.word for one in artifacts(ledger, base).values()}
        for base, _ in found.builds
    }
    for request in found.requests:
        states = found.states[request.id]
        own = [_with_verdict(states[one], request, words[one]) for one in folders]
        table.add_row(
            str(request.id),
            ", ".join(concept.name for concept in request.concepts.values()),
            request.reference or "",
            request.added_at[:10],
            request.added_by or "",
            *(own or [WAITING if request.stands else WITHDRAWN]),
        )
    return table


def _with_verdict(state: str, request: Request, words: dict[int, str | None]) -> str:
    """``erased`` with the worst verdict behind it, where that is not *good*."""
    own = {words.get(concept) for concept in request.concepts}
    worst = next((word for word in (FAILED, WEAK) if word in own), "")
    return f"{state}, {worst}" if state == ERASED and worst else state


def about_models(ledger: Ledger, found: Standings) -> Table:
    """A row a model: its file, and whether it is as the requests ask."""
    table = make_table("Models", "model", "concepts", "built", "file", "")
    for base, build in found.builds:
        if build is None:
            table.add_row(base.name.model, "", "", "", "never built to the end: build it")
            continue
        file = "none" if build.file is None else str(ledger.files / base.folder / build.file)
        current = "up to date" if found.up_to_date(base.folder) else "build it again"
        table.add_row(base.name.model, str(len(build.concepts)), build.built_at[:10], file, current)
    return table


def about_built(ledger: Ledger, built: Built, seconds: float) -> Table:
    """What a build did."""
    folder = ledger.files / built.base.folder
    table = make_table(f"Built for {built.base.name.model}")
    table.add_row("erases", f"{built.concepts} concepts, {built.made} of them made now")
    if built.build.file is None:
        table.add_row("file", "none: no request stands")
    else:
        state = "merged now" if built.merged else "as it was"
        table.add_row("file", f"{folder / built.build.file}, {state}")
    table.add_row("manifest", str(folder / built.build.manifest))
    table.add_row("time", f"{seconds:.1f} s")
    return table


def as_data(ledger: Ledger, found: Standings) -> dict[str, Any]:
    """All of it, as JSON holds it."""
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
