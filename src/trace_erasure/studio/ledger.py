"""A takedown ledger, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trace_erasure.evaluation.report.tables import Table
from trace_erasure.takedown.data import as_data
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.standing import WAITING, WITHDRAWN, standings


def ledger_tables(path: Path) -> list[Table]:
    """Requests with their states, and models with their files.

    Raises ``InputError`` where there is no ledger.
    """
    ledger = Ledger(path)
    found = standings(ledger)
    data = as_data(ledger, found)
    models = data["models"]
    called = [", ".join(one.name for one in own.concepts.values()) for own in found.requests]
    names = [model["model"] for model in models]
    requests = tuple(
        _request(one, name, models) for one, name in zip(data["requests"], called, strict=True)
    )
    built = tuple(
        (
            model["model"],
            model["file"] or "none",
            (model["built_at"] or "")[:10],
            "up to date" if model["up_to_date"] else "build it again",
        )
        for model in models
    )
    heads = ("", "concepts", "reference", "added", "by", *(names or ["state"]))
    return [
        Table("Requests", heads, requests),
        Table("Models", ("model", "file", "built", ""), built),
    ]


def _request(one: dict[str, Any], called: str, models: list[dict[str, Any]]) -> tuple[str, ...]:
    states = [_state(one, model) for model in models]
    fallback = WAITING if one["stands"] else WITHDRAWN
    return (
        str(one["id"]),
        called,
        one["reference"] or "",
        one["added_at"][:10],
        one["added_by"] or "",
        *(states or [fallback]),
    )


def _state(one: dict[str, Any], model: dict[str, Any]) -> str:
    """The state, with the verdicts behind it where there are any."""
    state = one["states"][Path(model["folder"]).name]
    words = {made["verdict"] for made in one["artifacts"] if made["model"] == model["model"]}
    known = sorted(filter(None, words))
    return f"{state}, {', '.join(known)}" if known else state
