"""One visitor's work: what was asked, what was seen, what was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.concepts.concept import Concept
from trace_erasure.concepts.masking import words_hidden
from trace_erasure.config import FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.evaluation.report.grids import Grid
from trace_erasure.guarantees.oracle_forecast import OracleForecast, oracle_forecast
from trace_erasure.guarantees.preview import Preview, preview
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.studio.bench import Bench
from trace_erasure.studio.download import tools_for, write_download
from trace_erasure.studio.job import Job
from trace_erasure.studio.pictures import Album, Pairs, Shot, grid, neighbours_of, shots_of
from trace_erasure.studio.request import SCENES_BETWEEN, Request, words_of
from trace_erasure.studio.trial import Trial, try_attack
from trace_erasure.trace.erase import run
from trace_erasure.trace.erase_pack import erase_pack

T = TypeVar("T")


@dataclass(frozen=True)
class Grids:
    """The concept and its neighbours, before and after."""

    concept: Grid
    neighbours: Grid


@dataclass
class Session:
    """What one visitor works on. Its verbs give jobs; they use one bench, so run one at a time.

    Attributes:
        bench: where the model is.
        folder: where downloads are written.
        request: the last one that was looked at or erased.
        preview, erasure: of that request, once they are there.
        drawn: the grids of the last comparison, as far as they are drawn.
    """

    bench: Bench
    folder: Path
    request: Request | None = None
    preview: Preview | None = None
    erasure: Erasure | None = None
    drawn: Grids | None = None
    _album: Album = field(default_factory=Album)
    _job: Job[object] | None = None

    def look(self, request: Request) -> Job[Preview]:
        """Says what erasing would do. Raises ``InputError`` for a form that is wrong."""
        spec = request.spec()
        self.bench.check(request.model)
        self.request, self.preview, self.erasure = request, None, None

        def work() -> Preview:
            with words_hidden(spec.concepts):
                self.preview = preview(self.bench.pipeline(request.model), spec)
            return self.preview

        return self._begun(work, "loading the model")

    def oracle(self, request: Request, state_prompts: str = "") -> Job[OracleForecast]:
        """Says what stage 2 could do at best to the first concept. Nothing is trained.

        ``state_prompts`` show the concept without a word of it; with semicolons between them.
        """
        concepts = request.spec().concepts
        self.bench.check(request.model)
        scenes = words_of(state_prompts, SCENES_BETWEEN)
        settings = FinetuneConfig.for_scenes(*scenes) if scenes else FinetuneConfig()

        def work() -> OracleForecast:
            with words_hidden(concepts):
                return oracle_forecast(self.bench.pipeline(request.model), concepts[0], settings)

        return self._begun(work, "loading the model")

    def erase(self, request: Request) -> Job[Erasure]:
        """Erases. What has not been looked at is looked at first."""
        spec, pack = request.spec(), request.listed
        self.bench.check(request.model)
        if request != self.request:
            self.request, self.preview = request, None
        self.erasure = None

        def work() -> Erasure:
            pipe = self.bench.pipeline(request.model)
            with words_hidden(spec.concepts):
                self.preview = self.preview or preview(pipe, spec)
            if pack is not None:
                self.erasure = erase_pack(pipe, pack, settings=spec)
            else:
                self.erasure = run(pipe, spec)
            return self.erasure

        return self._begun(work, "loading the model")

    def compare(self, sampling: Sampling, weight: float = 1.0) -> Job[Grids]:
        """Draws the concept and its neighbours without the erasure, and with it at ``weight``."""
        request, erasure, seen = self._made()
        near = neighbours_of(seen.retain)
        own = shots_of(seen.concepts)
        words: tuple[Concept, ...] = seen.concepts

        def grids(pairs: Pairs) -> Grids:
            first, second = pairs[: len(own)], pairs[len(own) :]
            return Grids(
                grid("the concept", own, first, words, request.hidden),
                grid("its neighbours", near, second, words, request.hidden),
            )

        def keep(pairs: Pairs) -> None:
            self.drawn = grids(pairs)

        def work() -> Grids:
            self.drawn = None
            pipe, shots = self.bench.pipeline(request.model), [*own, *near]
            name = request.model
            return grids(self._album.pairs(pipe, name, erasure, shots, sampling, weight, seen=keep))

        return self._begun(work, "drawing")

    def own_prompt(self, prompt: str, sampling: Sampling, weight: float = 1.0) -> Job[Grid]:
        """Draws a prompt of the visitor's own, before and after."""
        request, erasure, seen = self._made()
        if not prompt.strip():
            raise InputError("the prompt is empty. Type what to draw, such as a fox on a hill.")
        shots = [Shot(prompt.strip(), seed) for seed in range(2)]

        def work() -> Grid:
            pipe = self.bench.pipeline(request.model)
            pairs = self._album.pairs(pipe, request.model, erasure, shots, sampling, weight)
            return grid("your prompt", shots, pairs, seen.concepts, request.hidden)

        return self._begun(work, "drawing")

    def attack(self, name: str, sampling: Sampling) -> Job[Trial]:
        """Tries one attack by prompts."""
        request, erasure, seen = self._made()
        shot = shots_of(seen.concepts)[0]

        def work() -> Trial:
            pipe = self.bench.pipeline(request.model)
            return try_attack(pipe, request.model, erasure, name, shot, sampling, request.hidden)

        return self._begun(work, "drawing")

    def tools(self) -> list[str]:
        """Tools that read the erasure; none before there is one."""
        return [] if self.erasure is None else tools_for(self.erasure.family)

    def download(self, tool: str, force: bool = False) -> Path:
        """The file for ``tool``.

        Raises ``InputError`` where there is no erasure, or it failed and ``force`` is not set.
        """
        _, erasure, _ = self._made()
        if erasure.complaint and not force:
            raise InputError(f"{erasure.complaint} Tick the box to download it all the same.")
        return write_download(erasure, tool, self.folder)

    def stop(self) -> None:
        """Ends the job at work, where there is one."""
        if self._job is not None:
            self._job.stop()

    def _begun(self, work: Callable[[], T], what: str) -> Job[T]:
        job = Job(work, what)
        self._job = job  # type: ignore[assignment]  # only stopped from here
        return job

    def _made(self) -> tuple[Request, Erasure, Preview]:
        if self.request is None or self.erasure is None or self.preview is None:
            raise InputError("nothing is erased yet. Press Erase first.")
        return self.request, self.erasure, self.preview
