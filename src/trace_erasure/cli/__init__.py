"""The command line. Everything heavy is imported by the verb that needs it.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

# Importing a module of verbs registers them, in this order.
from trace_erasure.cli import (  # noqa: F401
    attack,
    certify,
    erase,
    evaluate,
    generate,
    inspect,
    merge,
)
from trace_erasure.cli.app import app

__all__ = ["app", "main"]


def main() -> None:
    """The ``trace-erasure`` command."""
    app()
