"""Thousands of damaged files of every kind: `make fuzz`. A second call goes on from the first.

Each is read, or refused by one of the package's own errors that names it. Anything else is a
failure: another error, more than 5 s, more than 1 GiB, a dead process. The failing file is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from support.fuzzing import case

COUNTS = {
    "artifact": 20_000, "spec": 2_500, "task": 2_500,
    "parquet": 1_000, "picture": 1_000, "json-lines": 1_000,
}  # fmt: skip
CHUNK = 250
SECONDS = 5
GIBIBYTE = 2**30


class HangError(BaseException):
    """A case took too long; no handler in the package may take it for an error of its own."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--share", type=float, default=1.0, help="of the usual counts")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    log = options.work / "log.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    for kind, count in COUNTS.items():
        total = int(count * options.share)
        reached = sum(one["cases"] for one in done if one["kind"] == kind)
        while reached < total:
            found = in_child(kind, range(reached, min(reached + CHUNK, total)), options.work)
            reached += found["cases"]
            done.append(found)
            with log.open("a") as file:
                file.write(json.dumps(found) + "\n")
        print(summary(kind, [one for one in done if one["kind"] == kind]), flush=True)
    return 1 if any(one["failed"] for one in done) else 0


def summary(kind: str, parts: list[dict[str, Any]]) -> str:
    """One line of counts."""
    cases, read = (sum(one[key] for one in parts) for key in ("cases", "read"))
    failed = [line for one in parts for line in one["failed"]]
    line = f"{kind}: {cases} cases, {read} read, {cases - read - len(failed)} refused"
    return "\n  ".join([f"{line}, {len(failed)} failed", *failed])


def in_child(kind: str, numbers: range, work: Path) -> dict[str, Any]:
    """The counts of ``numbers``, in a process of their own; it may die."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        child = os.fork()
        if not child:
            os._exit(run(kind, numbers, folder))
        os.waitpid(child, 0)
        lines = [json.loads(line) for line in (folder / "progress").read_text().splitlines()]
        if len(lines) < len(numbers) and (not lines or lines[-1]["number"] is not None):
            lines.append({"number": None})
        failed = [f"{one['number']}: {one['error']}" for one in lines if one.get("error")]
        if lines and lines[-1]["number"] is None:  # it died in the case after the last line
            failed.append(f"{numbers[len(lines) - 1]}: the process died")
        for one in failed:
            kept = work / "failed" / f"{kind}-{one.split(':')[0]}"
            shutil.copytree(folder / "failed" / kept.name, kept, dirs_exist_ok=True)
    read = sum(one.get("read", False) for one in lines)
    return {"kind": kind, "cases": len(lines), "read": read, "failed": failed}


def run(kind: str, numbers: range, folder: Path) -> int:
    """Runs the cases within the limits, and writes a line a case."""
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + GIBIBYTE, virtual + GIBIBYTE))
    signal.signal(signal.SIGPROF, _hang)
    with (folder / "progress").open("w", buffering=1) as progress:
        for number in numbers:
            here = folder / "failed" / f"{kind}-{number}"
            here.mkdir(parents=True)
            line: dict[str, Any] = {"number": number}
            # Time of the processor: that of the clock depends on who else is working.
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            try:
                line["read"] = case(kind, number, here)
            except (Exception, HangError) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(last.filename).name}:{last.lineno}"
                line["error"] = f"{type(error).__name__} at {where}: {str(error)[:100]}"
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            progress.write(json.dumps(line) + "\n")
            if "error" not in line:
                shutil.rmtree(here)
    return 0


def _hang(*_: object) -> None:
    raise HangError(f"more than {SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
