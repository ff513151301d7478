"""What was made for a ledger: an erasure a concept, and the merged files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.concepts.concept import Concept
from trace_erasure.takedown.bases import Base
from trace_erasure.takedown.concept_text import concept_of
from trace_erasure.takedown.ledger import Ledger


@dataclass(frozen=True)
class Artifact:
    """The erasure of one concept from one model.

    Attributes:
        id: number; 0 for one that is not recorded yet.
        concept_id, concept: what it erases.
        key: names what decides its content.
        file: path below ``Ledger.files``.
        sha256: of the file.
        verdict: ``ErasureVerdict`` as JSON holds it, where there is one.
        report: its certificate as JSON holds it.
    """

    id: int
    concept_id: int
    concept: Concept
    key: str
    file: str
    sha256: str
    verdict: Any = None
    report: Any = None

    @property
    def word(self) -> str | None:
        """``good``, ``weak`` or ``failed``; None where there is no verdict."""
        return None if self.verdict is None else self.verdict["word"]


@dataclass(frozen=True)
class Build:
    """A merged file and its manifest.

    Attributes:
        inputs: names the erasures that were merged.
        content: names everything that the manifest says but who made it and when.
        file, sha256: of the LoRA file, below ``Ledger.files``; None where nothing is to be erased.
        manifest, manifest_sha256: of the manifest.
        built_by, built_at: who and when.
        concepts: numbers of what it erases.
    """

    inputs: str
    content: str
    file: str | None
    sha256: str | None
    manifest: str
    manifest_sha256: str
    built_by: str | None
    built_at: str
    concepts: frozenset[int] = frozenset()


def artifacts(ledger: Ledger, base: Base) -> dict[str, Artifact]:
    """Key to erasure, of every one that was made for a model."""
    with ledger.reading() as database:
        rows = database.execute(
            "SELECT artifacts.id, concept, data, artifacts.key, file, sha256, verdict, report "
            "FROM artifacts JOIN concepts ON concepts.id = concept WHERE base = ? "
            "ORDER BY artifacts.id",
            (base.id,),
        ).fetchall()
    return {
        key: Artifact(
            number, concept, concept_of(data), key, file, sha256, _loaded(verdict), _loaded(report)
        )
        for number, concept, data, key, file, sha256, verdict, report in rows
    }


def record_artifacts(
    ledger: Ledger, base: Base, made: Sequence[Artifact], by: str | None, at: str
) -> None:
    """Notes erasures that lie in their files; replaces what was noted under their keys."""
    rows = [
        (
            base.id,
            one.concept_id,
            one.key,
            one.file,
            one.sha256,
            _dumped(one.verdict),
            _dumped(one.report),
            by,
            at,
        )
        for one in made
    ]
    with ledger.writing() as database:
        database.executemany(
            "INSERT INTO artifacts (base, concept, key, file, sha256, verdict, report, made_by, "
            "made_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (base, key) DO UPDATE SET "
            "file = excluded.file, sha256 = excluded.sha256, verdict = excluded.verdict, "
            "report = excluded.report, made_by = excluded.made_by, made_at = excluded.made_at",
            rows,
        )


def builds(ledger: Ledger, base: Base, most: int) -> list[Build]:
    """The last ``most`` builds for a model, newest first."""
    with ledger.reading() as database:
        rows = database.execute(
            "SELECT id, inputs, content, file, sha256, manifest, manifest_sha256, built_by, "
            "built_at FROM builds WHERE base = ? ORDER BY id DESC LIMIT ?",
            (base.id, most),
        ).fetchall()
        inside = (
            "SELECT concept FROM parts JOIN artifacts ON artifacts.id = artifact WHERE build = ?"
        )
        return [
            Build(*row, concepts=frozenset(c for (c,) in database.execute(inside, (number,))))
            for number, *row in rows
        ]


def record_build(ledger: Ledger, base: Base, made: Build, parts: Sequence[Artifact]) -> None:
    """Notes a build whose files are there: from now on it is the model's."""
    with ledger.writing() as database:
        number = database.execute(
            "INSERT INTO builds (base, inputs, content, file, sha256, manifest, manifest_sha256, "
            "built_by, built_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                base.id,
                made.inputs,
                made.content,
                made.file,
                made.sha256,
                made.manifest,
                made.manifest_sha256,
                made.built_by,
                made.built_at,
            ),
        ).lastrowid
        rows = [(number, part.id) for part in parts]
        database.executemany("INSERT INTO parts VALUES (?, ?)", rows)


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _dumped(value: Any) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)
