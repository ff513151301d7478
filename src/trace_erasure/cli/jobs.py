"""What verbs hand to an engine: their options, and how a worker does a share of the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trace_erasure.cli.options import Loading
from trace_erasure.cli.selection import judges_of, tasks_folder
from trace_erasure.engines.job import Job
from trace_erasure.engines.registry import LOCAL, engine_of, options_of
from trace_erasure.errors import InputError
from trace_erasure.utils.sharding import Shard

if TYPE_CHECKING:
    from trace_erasure.config import EraseConfig
    from trace_erasure.evaluation import Task
    from trace_erasure.evaluation.judges.base import Evaluator
    from trace_erasure.evaluation.runs.schedule import Measurement


@dataclass(frozen=True)
class Fleet:
    """Where a verb's work runs: its options ``--engine``, ``--workers`` and ``--engine-option``."""

    engine: str = LOCAL
    workers: int = 1
    options: Sequence[str] = ()

    @property
    def remote(self) -> bool:
        """Whether other processes than this one do the work."""
        return self.engine != LOCAL

    def check(self, shard: str | None) -> None:
        """Raises ``InputError`` for options that contradict each other, or a missing package."""
        engine_of(self.engine, options_of(self.options))
        if self.remote and shard is not None:
            raise InputError(
                f"--shard {shard} and --engine {self.engine} both divide the work. Leave one out."
            )
        if not self.remote and self.workers != 1:
            raise InputError(
                f"--workers is {self.workers}, and --engine local is this process alone. Choose "
                "--engine ray or slurm, or start processes with --shard."
            )

    def run(self, job: Job, folder: Path, most: int | None = None) -> None:
        """All shares of ``job``, at most ``most`` of them."""
        engine = engine_of(self.engine, options_of(self.options))
        shares = self.workers * engine.shares_a_worker
        shares = shares if most is None else min(shares, most)
        engine.run(job, shares, self.workers, folder)


@dataclass(frozen=True)
class OnModel:
    """What every job begins with: a model, loaded once a worker."""

    model: str
    loading: Loading

    @property
    def gpus(self) -> int:
        """How many GPUs a worker needs."""
        return int((self.loading.device or "").startswith("cuda"))

    def pipeline(self) -> Any:
        """The loaded pipeline."""
        return self.loading.load(self.model)


@dataclass(frozen=True)
class EvaluationJob(OnModel):
    """``evaluate``: its options, by their names there."""

    task: Sequence[str]
    erasure: Sequence[Path]
    concept: list[str] | None
    method: str
    strength: Sequence[float]
    judge: list[Path] | None
    clip: Path | None
    weights: list[str] | None
    prompts: Path | None
    controls: bool
    per_group: int | None
    batch: int
    bfloat16: bool
    tasks_dir: Path | None
    out: Path

    def work(self) -> list[tuple[Task, list[Evaluator], list[Measurement]]]:
        """Each task's part that is measured, its judges, and with which erasures and controls."""
        from trace_erasure.artifact.erasure import Erasure
        from trace_erasure.evaluation.runs.schedule import measurements
        from trace_erasure.evaluation.runs.selection import erasures_by_concept
        from trace_erasure.evaluation.tasks.loader import load_task

        erasures = [Erasure.load(file) for file in self.erasure]
        found = []
        for name in self.task:
            whole = load_task(name, tasks_folder(self.tasks_dir), self.prompts, self.concept)
            own = erasures_by_concept(whole, erasures, self.concept)
            part = whole.subset(list(own) or self.concept, self.per_group)
            planned = measurements(
                own, method=self.method, strengths=self.strength, controls=self.controls
            )
            judges = judges_of(part, self.model, self.judge, self.clip, self.weights)
            found.append((part, judges, planned))
        return found

    def prepare(self) -> tuple[Any, Any]:
        """See ``Job.prepare``."""
        work = self.work()
        return self.pipeline(), work

    def run(self, state: tuple[Any, Any], shard: Shard) -> bool:
        """See ``Job.run``; whether all other shares are done, too."""
        from trace_erasure.evaluation.runs.run_folder import RunFolder
        from trace_erasure.evaluation.runs.schedule import run_measurements

        pipe, work = state
        complete, folder = True, RunFolder(self.out)
        how: dict[str, Any] = dict(
            model=self.model, batch=self.batch, autocast=self.bfloat16, shard=shard
        )
        for part, judges, planned in work:
            found = run_measurements(folder, pipe, part, judges, planned, **how)
            complete &= found is not None
        return complete


@dataclass(frozen=True)
class AttackJob(OnModel):
    """``attack``: groups of attacks that share no control, and options of ``attacks.attack``."""

    file: Path
    groups: Sequence[Sequence[str]]
    task: str
    tasks_dir: Path | None
    prompts: Path | None
    judge: list[Path] | None
    weights: list[str] | None
    how: dict[str, Any]

    def prepare(self) -> tuple[Any, Any, Any, Any]:
        """See ``Job.prepare``."""
        from trace_erasure.artifact.erasure import Erasure
        from trace_erasure.evaluation import load_task

        whole = load_task(
            self.task, tasks_folder(self.tasks_dir), self.prompts, self.how["concepts"]
        )
        part = whole.subset(list(self.how["concepts"]))
        judge = judges_of(part, self.model, self.judge, None, self.weights)[0]
        return self.pipeline(), Erasure.load(self.file), part, judge

    def run(self, state: tuple[Any, Any, Any, Any], shard: Shard) -> None:
        """See ``Job.run``."""
        from trace_erasure.attacks.attack import attack

        pipe, erasure, part, judge = state
        for names in self.groups[shard[0] :: shard[1]]:
            attack(pipe, erasure, part, names, judge=judge, model=self.model, **self.how)


@dataclass(frozen=True)
class EraseEachJob(OnModel):
    """``merge`` of a spec: one file a concept in ``folder``."""

    spec: EraseConfig
    folder: Path

    def prepare(self) -> Any:
        """See ``Job.prepare``."""
        return self.pipeline()

    def run(self, state: Any, shard: Shard) -> None:
        """See ``Job.run``."""
        from trace_erasure.trace.erase_each import erase_each

        erase_each(state, self.spec, self.folder, shard=shard)
