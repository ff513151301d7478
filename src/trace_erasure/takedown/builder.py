"""Builds a ledger for a model: what is missing is made, what stands is merged, a manifest says so.

A build's files have names of their own and replace nothing; the ledger's entry, one transaction,
makes them the model's. A build that is killed leaves the one before it in place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.artifact.header import read_header
from trace_erasure.artifact.provenance import versions
from trace_erasure.math.verdict import FAILED
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.fingerprint import digest_of, fingerprint
from trace_erasure.takedown import manifest
from trace_erasure.takedown.bases import Base, ModelName, register_base
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.parts import make_parts
from trace_erasure.takedown.products import Artifact, Build, builds, file_sha256, record_build
from trace_erasure.takedown.stamps import moment, signature
from trace_erasure.trace.merge import merge
from trace_erasure.utils.folders import make_folder

KEPT = 2
"""Builds whose files stay: the last one, and the one before, which a server may still read."""


@dataclass(frozen=True)
class Built:
    """What a build did.

    Attributes:
        base: the model.
        build: its files; those of an earlier build where nothing had changed.
        concepts: how many the file erases.
        made: how many erasures were made for it.
        merged: whether the LoRA file was written anew.
        failed: names of concepts whose erasure has the verdict *failed*.
    """

    base: Base
    build: Build
    concepts: int
    made: int
    merged: bool
    failed: tuple[str, ...]


def build(
    ledger: Ledger,
    pipe: Any,
    name: ModelName,
    *,
    captions: Sequence[str] | None = None,
    by: str | None = None,
    at: str | None = None,
) -> Built:
    """Brings what is made for one model up to the ledger; the pipeline is left as it was.

    Erasures that are there are kept. The merged file depends on the standing concepts alone, not
    on the order or the history of requests: the same concepts give the same bytes, on one machine
    and with one set of versions. An erasure whose verdict is *failed* is merged all the same, and
    named in what is returned.

    Args:
        ledger: the requests.
        pipe: the model.
        name: what it was loaded by, for the ledger.
        captions: ordinary language of the model's domain; default: the package's list.
        by: who builds.
        at: when, ISO 8601; default: now.

    Raises:
        InputError: another build runs; concepts cannot be erased (the message names all of them,
            with their requests; the others are made); a file was changed since it was made.
    """
    who, when = signature(by), moment(at)
    with ledger.build_lock():
        base = register_base(ledger, name, Denoiser(pipe).family.name, fingerprint(pipe))
        folder = ledger.files / base.folder
        make_folder(folder / "parts")
        made = make_parts(ledger, pipe, base, captions, who, when)
        last = next(iter(builds(ledger, base, 1)), None)
        inputs = digest_of([[part.sha256 for part in made.parts], list(captions or ())])
        merged, same = _kept(folder, last, inputs), True
        if merged is None and made.parts:
            merged, same = _merge(folder, pipe, made.parts, ledger.files, captions), False
        content = manifest.contents(
            base, ledger.settings, made.requests, made.parts, merged, _versions(folder, merged)
        )
        done = _build_of(last, folder, manifest.name_of(content))
        if done is None:
            text, digest = manifest.write(folder, content, who, when)
            done = Build(
                inputs=inputs,
                content=manifest.name_of(content),
                file=None if merged is None else merged.file,
                sha256=None if merged is None else merged.sha256,
                manifest=text,
                manifest_sha256=digest,
                built_by=who,
                built_at=when,
                concepts=frozenset(part.concept_id for part in made.parts),
            )
            record_build(ledger, base, done, made.parts)
        _prune(folder, builds(ledger, base, KEPT))
    failed = tuple(part.concept.name for part in made.parts if part.word == FAILED)
    return Built(base, done, len(made.parts), made.count, not same, failed)


def _kept(folder: Path, last: Build | None, inputs: str) -> manifest.Merged | None:
    """The last build's LoRA file, where a merge would give it again."""
    if last is None or last.inputs != inputs or last.file is None or last.sha256 is None:
        return None
    return (
        manifest.Merged(last.file, last.sha256) if _holds(folder / last.file, last.sha256) else None
    )


def _build_of(last: Build | None, folder: Path, content: str) -> Build | None:
    """The last build, where its manifest says the same and is there."""
    if last is None or last.content != content:
        return None
    return last if _holds(folder / last.manifest, last.manifest_sha256) else None


def _holds(file: Path, sha256: str) -> bool:
    return file.is_file() and file_sha256(file) == sha256


def _versions(folder: Path, merged: manifest.Merged | None) -> Mapping[str, str]:
    """Of the packages that made the LoRA file, which may be older than those of now."""
    if merged is None:
        return versions()
    return read_header(folder / merged.file).provenance.record.versions


def _merge(
    folder: Path,
    pipe: Any,
    parts: Sequence[Artifact],
    files: Path,
    captions: Sequence[str] | None,
) -> manifest.Merged:
    """Merges erasures into a file that is named by its content."""
    merged = merge([Erasure.load(files / part.file) for part in parts], pipe, captions=captions)
    staged = folder / ".merged.safetensors"
    staged.unlink(missing_ok=True)
    merged.save(staged)
    digest = file_sha256(staged)
    name = f"erasure-{digest[:12]}.safetensors"
    os.replace(staged, folder / name)
    return manifest.Merged(name, digest)


def _prune(folder: Path, kept: Sequence[Build]) -> None:
    """Deletes the merged files and the manifests of other builds."""
    names = {name for build in kept for name in (build.file, build.manifest)}
    for file in [*folder.glob("erasure-*.safetensors"), *folder.glob("manifest-*.json")]:
        if file.name not in names:
            file.unlink(missing_ok=True)
