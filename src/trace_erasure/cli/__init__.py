"""The command line, a module a verb. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import sys

# Importing a verb's module registers it; ``--help`` lists them in this order.
from trace_erasure.cli import (  # noqa: F401
    attack,
    cache,
    capacity,
    certify,
    compare,
    demo,
    doctor,
    erase,
    evaluate,
    export,
    forecast,
    generate,
    info,
    ls,
    merge,
    report,
    reproduce,
    studio,
    takedown,
    takedown_files,
    validate,
)
from trace_erasure.cli.app import FAILED, app, say
from trace_erasure.cli.printing.console import flush_stdout, make_streams_safe

__all__ = ["app", "main"]


def main() -> None:
    """The ``trace-erasure`` command."""
    make_streams_safe()
    try:
        app()
    finally:
        if problem := flush_stdout():
            say(problem)
            sys.exit(FAILED)
