"""Tables of takedown ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from trace_erasure.cli.printing.console import make_table
from trace_erasure.math.verdict import FAILED, WEAK
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import artifacts
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


def built_data(ledger: Ledger, built: Built, seconds: float) -> dict[str, Any]:
    """What a build did, as JSON holds it."""
    folder, build = ledger.files / built.base.folder, built.build
    return {
        "model": built.base.name.model,
        "concepts": built.concepts,
        "made": built.made,
        "merged": built.merged,
        "file": None if build.file is None else str(folder / build.file),
        "manifest": str(folder / build.manifest),
        "failed": list(built.failed),
        "seconds": seconds,
    }


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
