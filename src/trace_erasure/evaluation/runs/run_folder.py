"""A folder that holds an evaluation: pictures, verdicts, and how they were made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch

from trace_erasure.evaluation.judges.base import Evaluator
from trace_erasure.evaluation.report.build import Report, build_report
from trace_erasure.evaluation.report.html import manifest
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.runs.runner import Attachable, collect_verdicts
from trace_erasure.evaluation.runs.verdict_files import VerdictFolder, read_verdicts, write_verdicts
from trace_erasure.evaluation.tasks.task import Task
from trace_erasure.pipeline.content_digest import weights_digest
from trace_erasure.pipeline.fingerprint import digest_of
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.folders import make_folder
from trace_erasure.utils.json_file import as_kind, read_json
from trace_erasure.utils.sharding import Shard


class NamedErasure(Attachable, Protocol):
    """An erasure with a name of its own."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class RunFolder:
    """``images/``, ``verdicts/`` and ``runs/`` in one folder; several processes may share it."""

    folder: Path

    @cached_property
    def images(self) -> ImageStore:
        return ImageStore(self.folder / "images")

    @property
    def verdicts(self) -> VerdictFolder:
        return VerdictFolder(self.folder / "verdicts")

    def measure(  # noqa: PLR0913 - its options are keyword-only
        self,
        pipe: Any,
        task: Task,
        judges: Sequence[Evaluator],
        *,
        model: str,
        method: str,
        seed: int = 0,
        erasure: NamedErasure | Mapping[str, NamedErasure] | None = None,
        batch: int = 50,
        autocast: bool = False,
        shard: Shard = (0, 1),
        draw: bool = True,
    ) -> list[Verdict] | None:
        """``evaluate``, kept: what an earlier run has done is read from its file.

        Args:
            draw: without it nothing is drawn or judged, only looked up.

        Returns:
            All verdicts, or None while some, such as those of other shards, are missing.

        Raises:
            InputError: as ``evaluate`` does.
        """
        erasures = erasure if isinstance(erasure, Mapping) else {"all": erasure}
        decides = [
            model,
            weights_digest(pipe),
            {key: one and one.name for key, one in erasures.items()},
            task.protocol_hash(),
            [judge.id for judge in judges],
            [batch, autocast],
        ]
        concepts = task.concepts[0] if len(task.concepts) == 1 else f"{len(task.concepts)} concepts"
        name = (task.name, method, concepts, str(seed), digest_of(decides))
        parts = [self.verdicts.path(*name, shard=(i, shard[1])) for i in range(shard[1])]
        whole, mine = self.verdicts.path(*name), parts[shard[0]]
        if whole.is_file():
            return read_verdicts(whole)
        if draw and not mine.is_file():
            found = collect_verdicts(
                pipe,
                task,
                judges,
                model=model,
                method=method,
                seed=seed,
                erasure=erasure,
                store=self.images,
                batch=batch,
                autocast=autocast,
                shard=shard,
            )
            write_verdicts(mine, found)
        if not all(part.is_file() for part in parts):
            return None
        return [verdict for part in parts for verdict in read_verdicts(part)]

    def note(self, **entries: Any) -> None:
        """Keeps how a run was made, with versions, machine and time; the same run is kept once."""
        made = dict(manifest(**entries, threads=torch.get_num_threads()).entries)
        same = {key: value for key, value in made.items() if key != "made"}
        file = self.folder / "runs" / f"{digest_of(same)}.json"
        make_folder(file.parent)
        with atomic(file) as partial:
            partial.write_text(json.dumps(made, indent=1, default=str), "utf-8")

    def notes(self) -> list[dict[str, Any]]:
        """What ``note`` kept, oldest first."""
        files = (self.folder / "runs").glob("*.json")
        notes = [as_kind(dict[str, Any], read_json(file), str(file)) for file in files]
        return sorted(notes, key=lambda note: str(note.get("made", "")))


def task_remarks(task: Task) -> dict[str, Any]:
    """Notes of a report on a task: its columns, oddities and remarks."""
    return {"metrics": task.metrics, "quirks": dict(task.quirks), "notes": task.notes}


def report_of(folders: Sequence[str | os.PathLike[str]], title: str = "Evaluation") -> Report:
    """The report of one evaluation, or of several side by side.

    Pictures are shown from the first folder if it is the only one.

    Raises:
        InputError: a folder has no verdicts, or they cannot share a table.
    """
    runs = [RunFolder(Path(folder)) for folder in folders]
    verdicts = list(dict.fromkeys(v for run in runs for v in run.verdicts.read()))
    store = runs[0].images if len(runs) == 1 else None
    notes = [note for run in runs for note in run.notes()]
    tasks = {name: said for note in notes for name, said in note.pop("tasks", {}).items()}
    return build_report(verdicts, store, title=title, runs=notes, tasks=tasks)
