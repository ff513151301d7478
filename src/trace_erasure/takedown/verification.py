"""Whether the files are those that the ledger says, and the model is the one they were made on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.artifact.header import read_header
from trace_erasure.errors import InputError
from trace_erasure.pipeline.fingerprint import difference, fingerprint
from trace_erasure.takedown.bases import Base, bases
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.products import Artifact, Build, artifacts, builds, file_sha256


@dataclass(frozen=True)
class Problem:
    """Something that is not as the ledger says.

    Attributes:
        what: the file or the model.
        problem: what is wrong with it, and what to do.
    """

    what: str
    problem: str


@dataclass(frozen=True)
class Verification:
    """What ``verify`` found.

    Attributes:
        files: paths that were checked.
        problems: empty where all is as it should be.
    """

    files: tuple[Path, ...]
    problems: tuple[Problem, ...]


def verify(ledger: Ledger) -> Verification:
    """Checks the LoRA file, the manifest and the erasures of each model's last build.

    Each has the SHA-256 that the ledger has, the manifest says what the ledger says, and each
    file's header names the ledger's model. Whether requests came after the build is no matter of
    this; see ``standings``.

    Raises ``InputError`` where nothing was built yet.
    """
    files: list[Path] = []
    problems: list[Problem] = []
    for base in bases(ledger):
        for build in builds(ledger, base, 1):
            parts = [
                part
                for part in artifacts(ledger, base).values()
                if part.concept_id in build.concepts
            ]
            for file, problem in _checked(ledger.files, base, build, parts):
                files.append(file)
                problems += [Problem(str(file), problem)] if problem else []
    if not files:
        raise InputError(f"nothing was built for {ledger.path} yet. Run `takedown build` first.")
    return Verification(tuple(files), tuple(problems))


def verify_model(base: Base, pipe: Any) -> Problem | None:
    """What is wrong where ``pipe`` is not the model that a ledger's files were made on."""
    if change := difference(base.fingerprint, fingerprint(pipe)):
        return Problem(
            base.name.model,
            f"it is another model than the files were made on ({change}). Build for it.",
        )
    return None


def _checked(
    files: Path, base: Base, build: Build, parts: list[Artifact]
) -> Iterator[tuple[Path, str]]:
    """Every file of a build with what is wrong with it, empty where nothing is."""
    folder = files / base.folder
    wrong = _wrong_digest(folder / build.manifest, build.manifest_sha256)
    yield folder / build.manifest, wrong or _wrong_manifest(folder, build, parts)
    if build.file is not None and build.sha256 is not None:
        file = folder / build.file
        yield file, _wrong_digest(file, build.sha256) or _wrong_base(file, base)
    for part in parts:
        file = files / part.file
        yield file, _wrong_digest(file, part.sha256) or _wrong_base(file, base)


def _wrong_digest(file: Path, sha256: str) -> str:
    try:
        found = file_sha256(file)
    except OSError as error:
        return f"{error.strerror}. Put it back, or run `takedown build`."
    if found == sha256:
        return ""
    return (
        f"its SHA-256 is {found[:12]}…, and the ledger has {sha256[:12]}…: it was changed. Put "
        "back a copy, or delete it and run `takedown build`."
    )


def _wrong_manifest(folder: Path, build: Build, parts: list[Artifact]) -> str:
    said = json.loads((folder / build.manifest).read_bytes())
    merged = None if build.file is None else {"file": build.file, "sha256": build.sha256}
    erasures = {part.file: part.sha256 for part in parts}
    listed = {one["artifact"]["file"]: one["artifact"]["sha256"] for one in said["concepts"]}
    if said["merged"] == merged and listed == erasures:
        return ""
    return "it names other files than the ledger. Run `takedown build`."


def _wrong_base(file: Path, base: Base) -> str:
    change = difference(read_header(file).provenance.base, base.fingerprint)
    return f"it was made on another model than {base.name.model} ({change})." if change else ""
