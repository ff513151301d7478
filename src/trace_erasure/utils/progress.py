"""Progress of long work: a bar on a terminal, and a line now and then in a log."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

log = logging.getLogger("trace_erasure")

EVERY = 30.0
"""Seconds between two lines of a log, and before the first."""
DELAY = 2.0
"""Seconds before a bar appears."""


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
    ``EVERY`` seconds instead, and nothing where that level is switched off.
    """
    options: dict[str, Any] = dict(desc=desc, total=total, initial=initial, unit=unit, leave=False)
    if sys.stderr.isatty():
        return tqdm(iterable, delay=DELAY, **options)
    if not log.isEnabledFor(logging.INFO):
        return tqdm(iterable, disable=True, **options)
    form = "{desc}: {n_fmt} of {total_fmt}"
    pace = dict(mininterval=EVERY, maxinterval=2 * EVERY, delay=EVERY)
    return tqdm(iterable, file=_Log(), bar_format=form, ascii=True, **pace, **options)


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
