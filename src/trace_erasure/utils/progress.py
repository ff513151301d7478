"""Progress of long work: a bar on a terminal, and a line now and then in a log."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

log = logging.getLogger("trace_erasure")

EVERY = 30.0
"""Seconds between two lines of a log, and before the first."""
DELAY = 2.0
"""Seconds before a bar appears."""
Watcher = Callable[[str, int, int | None], None]
"""Is told what is done, how much of it, and of how much. What it raises ends the work."""
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Within it, and in this thread, ``progress`` tells ``watcher`` and shows nothing.

    >>> seen = []
    >>> with watched_by(lambda *state: seen.append(state)):
    ...     for _ in progress("ab", desc="letters"):
    ...         pass
    >>> seen
    [('letters', 0, 2), ('letters', 1, 2), ('letters', 2, 2)]
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    desc: str,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
) -> tqdm[Any]:
    """A bar over ``iterable``, or of ``total`` things that ``update`` counts.

    Where stderr is no terminal, ``images: 120 of 480`` is logged at the level of information every
    ``EVERY`` seconds instead, and nothing where that level is switched off. Within ``watched_by``
    the watcher is told, and nothing else.
    """
    options: dict[str, Any] = dict(desc=desc, total=total, initial=initial, unit=unit, leave=False)
    if watcher := _watcher.get():
        return _Watched(iterable, watcher, **options)
    if sys.stderr.isatty():
        return tqdm(iterable, delay=DELAY, **options)
    if not log.isEnabledFor(logging.INFO):
        return tqdm(iterable, disable=True, **options)
    form = "{desc}: {n_fmt} of {total_fmt}"
    pace = dict(mininterval=EVERY, maxinterval=2 * EVERY, delay=EVERY)
    return tqdm(iterable, file=_Log(), bar_format=form, ascii=True, **pace, **options)


class _Watched(tqdm):  # type: ignore[type-arg]
    """Counts, and tells a watcher instead of drawing a bar."""

    def __init__(self, iterable: Iterable[Any] | None, watcher: Watcher, **options: Any) -> None:
        super().__init__(iterable, disable=True, **options)
        self._what, self._watcher = options["desc"], watcher
        self.update(0)

    def __iter__(self) -> Iterator[Any]:
        for one in self.iterable:
            yield one
            self.update(1)

    def update(self, n: float | None = 1) -> None:
        self.n += n or 0
        self._watcher(self._what, int(self.n), None if self.total is None else int(self.total))


class _Log(io.TextIOBase):
    """Takes what a bar writes, and logs each state once, without what a terminal needs."""

    def __init__(self) -> None:
        self._last = ""

    def write(self, text: str) -> int:
        line = text.strip()
        if line and line != self._last:
            self._last = line
            log.info("%s", line)
        return len(text)
