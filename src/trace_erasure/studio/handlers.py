"""From what was pressed to what the page says; knows nothing of Gradio."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trace_erasure.errors import InputError, NonFiniteError
from trace_erasure.pipeline.sampling import Sampling
from trace_erasure.studio import wording
from trace_erasure.studio.bench import Bench
from trace_erasure.studio.job import Job
from trace_erasure.studio.ledger import ledger_tables
from trace_erasure.studio.request import Request
from trace_erasure.studio.session import Session

T = TypeVar("T")
log = logging.getLogger("trace_erasure")
FORM = (
    "model", "phrase", "pack", "kind", "surrogate", "synonyms", "retain", "preset", "sensitive",
)  # fmt: skip
"""Fields of ``Request`` in the order in which the page hands them over."""
Shown = Iterator[tuple[str, str | None]]
"""(what stands in the place of progress, the result or None where it stays as it is)."""


@dataclass(frozen=True)
class Handlers:
    """What the page's buttons do.

    Attributes:
        bench: the model of all visitors.
        folder: for downloads; each visitor has a folder of their own in it.
        ledger: the takedown ledger to show.
    """

    bench: Bench
    folder: Path
    ledger: Path

    def open(self) -> Session:
        """A visitor's session."""
        return Session(self.bench, Path(tempfile.mkdtemp(dir=self.folder)))

    def look(self, session: Session, *form: object) -> Shown:
        """Shows what erasing would do."""
        return _watched(lambda: session.look(_request(form)), wording.preview_html)

    def oracle(self, session: Session, scenes: str, *form: object) -> Shown:
        """Shows what stage 2 could do at best."""
        request = _request(form)
        return _watched(
            lambda: session.oracle(request, scenes),
            lambda found: wording.oracle_html(found, request.hidden),
        )

    def erase(self, session: Session, *form: object) -> Shown:
        """Erases, and says what came of it."""
        began = time.perf_counter()
        return _watched(
            lambda: session.erase(_request(form)),
            lambda erasure: wording.result_html(erasure, time.perf_counter() - began),
        )

    def preview_of(self, session: Session) -> str:
        """The preview that an erasure was made by, folded: the verdict is the erasure's now."""
        return "" if session.preview is None else wording.folded_preview_html(session.preview)

    def compare(
        self, session: Session, weight: float, steps: float, guidance: float
    ) -> Iterator[tuple[str | None, str | None, str | None]]:
        """Draws both grids at a strength, and shows what there is; empty without an erasure."""
        if session.erasure is None:
            yield None, "", ""  # what is said of the mistake stays
            return
        found: list[tuple[str, str]] = []
        so_far = session.drawn  # of the comparison before

        def keep(grids: wording.Grids) -> str:
            found.append(wording.grids_html(grids))
            return ""

        for status, _ in _watched(
            lambda: session.compare(Sampling(int(steps), guidance), weight), keep
        ):
            concept, neighbours = found[0] if found else (None, None)
            if not found and session.drawn is not so_far and session.drawn is not None:
                so_far = session.drawn
                concept, neighbours = wording.grids_html(so_far)
            yield status, concept, neighbours

    def own_prompt(
        self, session: Session, prompt: str, weight: float, steps: float, guidance: float
    ) -> Shown:
        """Draws a prompt of the visitor's own."""
        return _watched(
            lambda: session.own_prompt(prompt, Sampling(int(steps), guidance), weight),
            wording.grid_html,
        )

    def attack(self, session: Session, name: str, steps: float, guidance: float) -> Shown:
        """Tries an attack."""
        return _watched(
            lambda: session.attack(name, Sampling(int(steps), guidance)), wording.trial_html
        )

    def download(self, session: Session, tool: str, force: bool) -> tuple[str, Path | None]:
        """(a problem or nothing, the file)."""
        try:
            return "", session.download(tool, force)
        except InputError as error:
            return wording.problem_html(error), None

    def show_ledger(self) -> str:
        """The takedown ledger, or why there is none."""
        try:
            return wording.tables_html(ledger_tables(self.ledger))
        except InputError as error:
            return wording.problem_html(error)


def _request(form: tuple[object, ...]) -> Request:
    """The form as it was filled in; fields that were left alone come as None."""
    given = {name: value for name, value in zip(FORM, form, strict=True) if value is not None}
    return Request(**{"model": "", **given})  # type: ignore[arg-type]


def _watched(begin: Callable[[], Job[T]], show: Callable[[T], str]) -> Shown:
    """What a job is at, until its result is shown, or why there is none."""
    try:
        job = begin()
        for step in job.steps():
            yield wording.progress_html(step), None
        result = show(job.result())
    except (InputError, NonFiniteError) as error:
        yield wording.problem_html(error), None
    except Exception as error:  # the page says so, the terminal has the rest
        log.exception("the studio met a mistake of its own, or the machine's")
        yield wording.problem_html(error), None
    else:
        yield "", result
