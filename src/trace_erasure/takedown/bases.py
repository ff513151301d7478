"""The models that a ledger is built for."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from trace_erasure.config_file import hyphenated
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.fingerprint import Fingerprint, difference, digest_of
from trace_erasure.takedown.ledger import Ledger


@dataclass(frozen=True)
class ModelName:
    """What ``load_pipeline`` loads a model by."""

    model: str
    revision: str | None = None
    variant: str | None = None

    @classmethod
    def of(cls, model: str, revision: str | None = None, variant: str | None = None) -> ModelName:
        """The name, with the whole path where it is that of a folder or a file."""
        path = Path(model).expanduser()
        if model not in shipped.PIPELINES and path.exists():
            model = str(path.resolve())
        return cls(model, revision, variant)


@dataclass(frozen=True)
class Base:
    """A model that the ledger is built for.

    Attributes:
        id: number.
        name: what it was loaded by, the last time.
        family: name of the model family.
        fingerprint: what tells it from other models.
        folder: of its files, below ``Ledger.files``.
    """

    id: int
    name: ModelName
    family: str
    fingerprint: Fingerprint
    folder: str


def bases(ledger: Ledger) -> list[Base]:
    """The models that the ledger is built for, without those that another of the name replaced."""
    with ledger.reading() as database:
        found = {base.name: base for base in _list(database)}
    return sorted(found.values(), key=lambda base: base.id)


def register_base(ledger: Ledger, name: ModelName, family: str, found: Fingerprint) -> Base:
    """The ledger's entry of a model that was just loaded; made where there is none.

    The fingerprint says which model it is, whatever it is called now.
    """
    with ledger.writing() as database:
        known = _list(database)
        (seen,) = database.execute("SELECT COALESCE(MAX(seen), 0) + 1 FROM bases").fetchone()
        for base in known:
            if not difference(base.fingerprint, found):
                database.execute(
                    "UPDATE bases SET model = ?, revision = ?, variant = ?, seen = ? WHERE id = ?",
                    (*astuple(name), seen, base.id),
                )
                return replace(base, name=name)
        folder = hyphenated(Path(name.model).name) or "model"
        if any(base.folder == folder for base in known):
            folder = f"{folder}-{digest_of(found)}"
        number = database.execute(
            "INSERT INTO bases (model, revision, variant, family, fingerprint, folder, seen) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*astuple(name), family, json.dumps(found, sort_keys=True), folder, seen),
        ).lastrowid
    assert number is not None
    return Base(number, name, family, found, folder)


def _list(database: sqlite3.Connection) -> list[Base]:
    """Every model that the ledger was ever built for, the one that was loaded last at the end."""
    rows = database.execute(
        "SELECT id, model, revision, variant, family, fingerprint, folder FROM bases ORDER BY seen"
    )
    return [
        Base(number, ModelName(model, revision, variant), family, json.loads(text), folder)
        for number, model, revision, variant, family, text, folder in rows
    ]
