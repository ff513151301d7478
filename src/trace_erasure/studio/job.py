"""Work in a thread of its own, to watch and to stop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from trace_erasure.errors import InputError
from trace_erasure.utils.progress import watched_by

T = TypeVar("T")
PACE = 0.5
"""Seconds between two looks at a job."""
log = logging.getLogger("trace_erasure")


class StoppedError(InputError):
    """The work was stopped by its owner. Nothing of it is kept."""


@dataclass(frozen=True)
class Step:
    """How far a job is.

    Attributes:
        what: is being done.
        done, total: of it; None where the end is not known.
        seconds: since the job began.
        said: what the work has logged so far.
        left: seconds until ``what`` is done, at its pace so far; None where that is not known.
    """

    what: str
    done: int = 0
    total: int | None = None
    seconds: float = 0.0
    said: tuple[str, ...] = ()
    left: float | None = None


class Job(Generic[T]):
    """Runs ``work`` in a thread; ``steps`` says how far it is, ``result`` what came of it.

    Its progress bars are told to the job, and a stop ends the work at the next of them.

    >>> job = Job(lambda: 2 + 2)
    >>> for step in job.steps():
    ...     pass
    >>> job.result()
    4
    """

    def __init__(self, work: Callable[[], T], what: str = "") -> None:
        self._work = work
        self._step = Step(what)
        self._begun = (what, 0, 0.0)
        self._said: list[str] = []
        self._stop = threading.Event()
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = time.perf_counter()

    def steps(self) -> Generator[Step]:
        """Begins the work, and yields what it is at, until it has ended. Closed early, it stops."""
        self._started = time.perf_counter()
        self._thread.start()
        try:
            while self._thread.is_alive():
                yield self._now()
                self._thread.join(PACE)
            yield self._now()
        finally:
            self.stop()
            self._thread.join()

    def stop(self) -> None:
        """Ends the work at its next step."""
        self._stop.set()

    def result(self) -> T:
        """What the work gave. Raises what it raised, ``StoppedError`` where it was stopped."""
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _now(self) -> Step:
        at, seconds = self._step, time.perf_counter() - self._started
        return replace(at, seconds=seconds, said=tuple(self._said))

    def _run(self) -> None:
        handler = _Listener(self._said, threading.get_ident())
        level = log.level
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            with watched_by(self._watch):
                self._value.append(self._work())
        except BaseException as error:  # handed on by `result`, in the thread that asks
            self._error = error
        finally:
            log.removeHandler(handler)
            log.setLevel(level)

    def _watch(self, what: str, done: int, total: int | None) -> None:
        if self._stop.is_set():
            raise StoppedError("Stopped. Nothing was written, and the model is as it was.")
        now = time.perf_counter()
        name, first, began = self._begun
        if what != name or done < self._step.done or done == 0:  # another bar
            self._begun = name, first, began = what, done, now
        left = (total - done) * (now - began) / (done - first) if total and done > first else None
        self._step = Step(what, done, total, left=left)


class _Listener(logging.Handler):
    """Keeps what one thread logs, each line once."""

    def __init__(self, said: list[str], thread: int) -> None:
        super().__init__()
        self._said, self._ours = said, thread

    def emit(self, record: logging.LogRecord) -> Any:
        said = record.getMessage()
        if record.thread == self._ours and said not in self._said:
            self._said.append(said)
