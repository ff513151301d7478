"""Putting things back, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Callable


def surely(put_back: Callable[[], None]) -> None:
    """Calls ``put_back``, and once more where an exception breaks into it, such as Ctrl-C.

    The exception is raised afterwards. ``put_back`` has to be one that may begin again.
    """
    try:
        put_back()
    except BaseException:
        put_back()
        raise
