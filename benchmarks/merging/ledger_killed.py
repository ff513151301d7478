"""A ledger under two processes that add at once and are killed: is anything lost?

    python -m benchmarks ledger-killed [--requests 1000] [--withdrawn 50] [--kills 20]

Two processes add requests one by one, each with a reference of its own, and write down every one
that the ledger has confirmed. Now and then one of the two is killed without notice and started
again; it goes on after what the ledger has. Then some requests are withdrawn, and a LoRA file is
built for a tiny model with random weights and verified by its manifest. All requests ask for one of
a few concepts, so that the build takes seconds.

Rows, on ``random``: ``requests``, ``withdrawn``, ``kills``; ``lost``, confirmed but not in the
ledger; ``twice``, in it more than once; ``missing``, never added; ``problems`` that ``verify``
found in the build's files; ``seconds`` of adding, and ``a_second``, requests added in one.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from contextlib import closing
from multiprocessing.process import BaseProcess
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.core.rows import write_rows
from benchmarks.scale.shapes import RANDOM
from trace_erasure.concepts.concept import Concept
from trace_erasure.evaluation import Row
from trace_erasure.takedown.bases import ModelName
from trace_erasure.takedown.builder import build
from trace_erasure.takedown.changes import NewRequest, add, withdraw
from trace_erasure.takedown.ledger import Ledger
from trace_erasure.takedown.requests import requests
from trace_erasure.takedown.verification import verify
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion

WRITERS = 2
CONCEPTS = tuple(Concept(word, "dog") for word in ("fox", "horse", "owl"))


def reference(number: int) -> str:
    return f"ticket-{number}"


def write(path: Path, confirmed: Path, writer: int, count: int) -> None:
    """Adds every request of ``writer`` that is not in the ledger yet."""
    ledger = Ledger(path)
    there = {one.reference for one in requests(ledger)}
    with open(confirmed, "a", encoding="utf-8", buffering=1) as log:
        for number in range(writer, count, WRITERS):
            if reference(number) not in there:
                concept = CONCEPTS[number % len(CONCEPTS)]
                add(ledger, [NewRequest((concept,), reference(number))])
                log.write(f"{reference(number)}\n")


def add_under_kills(path: Path, count: int, kills: int, seed: int = 0) -> tuple[list[str], int]:
    """Adds ``count`` requests; those that were confirmed, and how often a writer was killed."""
    random, fork = Random(seed), multiprocessing.get_context("fork")
    logs = [path.with_name(f"confirmed-{writer}") for writer in range(WRITERS)]

    def start(writer: int) -> BaseProcess:
        process = fork.Process(target=write, args=(path, logs[writer], writer, count))
        process.start()
        return process

    writers, killed = [start(i) for i in range(WRITERS)], 0
    while killed < kills:
        # As many requests between two kills as there are: the last ones strike at work, too.
        goal = count * (killed + random.random()) / (kills + 1)
        while _rows(path) < goal and any(one.is_alive() for one in writers):
            time.sleep(0.001)
        writer = random.randrange(WRITERS)
        if not writers[writer].is_alive():
            writer = 1 - writer
        if not writers[writer].is_alive():
            break
        writers[writer].kill()
        writers[writer].join()
        writers[writer] = start(writer)
        killed += 1
    for one in writers:
        one.join()
        if one.exitcode:
            raise RuntimeError(f"a writer ended with {one.exitcode}")
    return [line for log in logs for line in log.read_text("utf-8").splitlines()], killed


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT COUNT(*) FROM requests").fetchone()[0]


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--withdrawn", type=int, default=50)
    parser.add_argument("--kills", type=int, default=20)


def run(options: Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        ledger = Ledger.create(Path(folder) / "takedown.db")
        started = time.perf_counter()
        confirmed, killed = add_under_kills(ledger.path, options.requests, options.kills)
        seconds = time.perf_counter() - started
        found = Counter(one.reference for one in requests(ledger))
        gone = Random(1).sample([one.id for one in requests(ledger)], options.withdrawn)
        for number in gone:
            withdraw(ledger, [number])
        build(ledger, tiny_stable_diffusion(), ModelName("tiny"), captions=CAPTIONS)
        figures: dict[str, float] = {
            "requests": len(found),
            "withdrawn": sum(not one.stands for one in requests(ledger)),
            "kills": killed,
            "lost": sum(name not in found for name in confirmed),
            "twice": sum(number > 1 for number in found.values()),
            "missing": sum(reference(i) not in found for i in range(options.requests)),
            "problems": len(verify(ledger).problems),
            "seconds": seconds,
            "a_second": options.requests / seconds,
        }
    fields: dict[str, Any] = dict(judge="none", numerator=None, n=options.requests, seed=0)
    fields |= dict(low=float("nan"), high=float("nan"), model=RANDOM, concept="all")
    fields |= dict(protocol=f"writers={WRITERS}", task="ledger", method="two writers, killed")
    rows = [Row(metric=name, value=value, **fields) for name, value in figures.items()]
    write_rows("ledger-killed", RANDOM, rows, options.out)
    for name, value in figures.items():
        print(f"{name:10} {value:10.1f}")
