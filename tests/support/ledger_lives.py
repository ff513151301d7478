"""Processes that change one ledger; run as a program, so that nothing but the ledger is imported.

``python ledger_lives.py kill LEDGER`` forks one after the other and kills each in the middle of its
work. ``python ledger_lives.py together LEDGER`` forks two that work at the same time. Each change
is printed as ``added 3`` or ``withdrawn 3`` once the ledger has acknowledged it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from itertools import count
from pathlib import Path
from random import Random

from trace_erasure.concepts.concept import Concept
from trace_erasure.takedown.changes import NewRequest, add, withdraw
from trace_erasure.takedown.ledger import Ledger

LIVES = 20
EACH = 20
"""Requests of each of two processes that work together."""


def work(ledger: Ledger, name: str, output: int, most: int | None) -> None:
    """Adds requests of two concepts, and withdraws every other one."""
    for turn in count() if most is None else range(most):
        concepts = (Concept(f"{name} {turn}"), Concept(f"{name} {turn} too"))
        (number,) = add(ledger, [NewRequest(concepts)], by=name)
        os.write(output, f"added {number}\n".encode())
        if turn % 2:
            withdraw(ledger, [number], by=name)
            os.write(output, f"withdrawn {number}\n".encode())


def born(ledger: Ledger, name: str, most: int | None) -> tuple[int, int]:
    """A process that works, and the end of a pipe on which it reports."""
    receiver, sender = os.pipe()
    process = os.fork()
    if process == 0:
        work(ledger, name, sender, most)
        os._exit(0)
    os.close(sender)
    return process, receiver


def reported(receiver: int) -> str:
    with os.fdopen(receiver, "rb") as pipe:
        return pipe.read().decode()


def killed(ledger: Ledger) -> None:
    random = Random(0)
    for life in range(LIVES):
        process, receiver = born(ledger, f"life {life}", None)
        started = os.read(receiver, 1).decode()
        time.sleep(random.random() / 50)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        print(started + reported(receiver), end="")


def together(ledger: Ledger) -> None:
    both = [born(ledger, name, EACH) for name in ("first", "second")]
    for process, receiver in both:
        print(reported(receiver), end="")
        assert os.waitpid(process, 0)[1] == 0


if __name__ == "__main__":
    {"kill": killed, "together": together}[sys.argv[1]](Ledger(Path(sys.argv[2])))
    assert "torch" not in sys.modules
