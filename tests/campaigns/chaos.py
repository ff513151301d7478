"""Long verbs killed at random moments and run again: `make chaos`. A second call goes on.

A process works, is killed with SIGKILL after a random share of the processor time that the verb
takes, sometimes twice more, and is run again to the end. Then the files must be those of a run
that nobody disturbed, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from support.evaluation import save_classifier, small_task
from trace_erasure import Concept, EraseConfig, FinetuneConfig, attack, erase, evaluate, merge
from trace_erasure.attacks.budget import Budget
from trace_erasure.concepts.prediction_similarity import prediction_sketches
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.evaluation.judges.base import ImageClassifierJudge
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
from trace_erasure.trace import training
from trace_erasure.trace.erase_each import erase_each

FOX, HORSE = Concept("fox", surrogate="dog"), Concept("horse", surrogate="dog")
TRAINING = FinetuneConfig(
    steps=6, rank=1, batch=2, trajectories=1, retain_trajectories=1, sampler_steps=2
)
TICK = os.sysconf("SC_CLK_TCK")
CHANGING = ("runs", "report.json", "report.md", "index.html", "attacks.json", "attacks.md")
"""Files that hold when and by which version they were made."""


class Bench:
    """What every process starts from: made once, before any is forked."""

    def __init__(self, folder: Path) -> None:
        training.CHECKPOINT_EVERY = 2
        self.pipe = tiny_stable_diffusion()
        self.judge = ImageClassifierJudge(save_classifier(folder / "judge"))
        self.parts = [erase(self.pipe, one, captions=CAPTIONS) for one in (FOX, HORSE)]

    def erase(self, out: Path) -> None:
        """Both stages, with a checkpoint every second step."""
        made = erase(self.pipe, FOX, captions=CAPTIONS, finetune=TRAINING, workdir=out)
        made.save(out / "fox")

    def erase_each(self, out: Path) -> None:
        """Several artifacts, as benchmarks and takedowns make them."""
        erase_each(self.pipe, EraseConfig((FOX, HORSE)), out, CAPTIONS)

    def merge(self, out: Path) -> None:
        """One artifact of two."""
        merge(self.parts, self.pipe, captions=CAPTIONS).save(out / "merged")

    def evaluate(self, out: Path) -> None:
        """Pictures, verdicts and their table."""
        task = small_task(("fox",))
        options: dict[str, Any] = dict(judges=[self.judge], folder=out, batch=2)
        evaluate(self.pipe, task, self.parts[0], concepts=["fox"], **options)

    def attack(self, out: Path) -> None:
        """Outcomes, case by case."""
        attack(
            self.pipe, self.parts[0], small_task(("fox",)), ["typo", "paraphrase"],
            judge=self.judge, model="tiny", cases=2, budget=Budget(images=2), folder=out,
            concepts=["fox"], synonyms={},
        )  # fmt: skip

    def cache(self, out: Path) -> None:
        """What is kept between runs."""
        denoiser = Denoiser(self.pipe)
        found = [second_moment(denoiser, CAPTIONS), prediction_sketches(denoiser, CAPTIONS)[0]]
        digest = hashlib.sha256(b"".join(one.numpy().tobytes() for one in found)).hexdigest()
        (out / "values").write_text(digest)


VERBS: dict[str, Callable[[Bench, Path], None]] = {
    name: getattr(Bench, name)
    for name in ("erase", "erase_each", "merge", "evaluate", "attack", "cache")
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("runs/chaos"))
    parser.add_argument("--kills", type=int, default=35, help="of every verb")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    log = options.work / "log.jsonl"
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        for verb in VERBS:
            wanted, seconds = undisturbed(bench, verb)
            own = [one for one in done if one["verb"] == verb]
            while sum(one["kills"] for one in own) < options.kills:
                own.append({"verb": verb, **trial(bench, verb, wanted, seconds, len(own))})
                with log.open("a") as file:
                    file.write(json.dumps(own[-1]) + "\n")
            done += [one for one in own if one not in done]
            wrong = [one["wrong"] for one in own if one["wrong"]]
            kills = sum(one["kills"] for one in own)
            line = f"{verb}: {kills} kills in {len(own)} runs, {len(wrong)} wrong"
            print("\n  ".join([line, *wrong]), flush=True)
    return 1 if any(one["wrong"] for one in done) else 0


def undisturbed(bench: Bench, verb: str) -> tuple[dict[str, str], float]:
    """The files of a run that nobody disturbs, and the processor time that it takes."""
    with tempfile.TemporaryDirectory() as name:
        code, spent = work(bench, verb, Path(name), None)
        if code:
            raise RuntimeError(f"{verb} fails undisturbed")
        return content(Path(name)), spent


def trial(
    bench: Bench, verb: str, wanted: dict[str, str], seconds: float, number: int
) -> dict[str, Any]:
    """One run with one to three kills, and what is wrong about its end; None where nothing is."""
    random, kills = Random(f"{verb} {number}"), 0
    with tempfile.TemporaryDirectory() as name:
        for _ in range(random.choice((1, 1, 2, 3))):
            code, _ = work(bench, verb, Path(name), random.uniform(0, seconds))
            kills += code == -signal.SIGKILL
        code, _ = work(bench, verb, Path(name), None)
        found = content(Path(name))
    wrong = f"number {number}: exit code {code}" if code else None
    if not code and found != wanted:
        differ = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        wrong = f"number {number}: other files: {', '.join(differ)[:300]}"
    return {"kills": kills, "wrong": wrong}


def work(bench: Bench, verb: str, out: Path, limit: float | None) -> tuple[int, float]:
    """(exit code, processor time) of ``verb`` in a process, killed after ``limit`` seconds."""
    child = os.fork()
    if not child:
        os.environ["XDG_CACHE_HOME"] = str(out / "cache")
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        code = 1
        try:
            VERBS[verb](bench, out)
            code = 0
        finally:
            os._exit(code)
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if limit is not None and processor_time(child) >= limit:
            os.kill(child, signal.SIGKILL)
            limit = None
        time.sleep(0.002)


def processor_time(child: int) -> float:
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def content(folder: Path) -> dict[str, str]:
    """Digests of the files that are promised to be the same, by name; no half-written one counts
    as one of them."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not file.name.startswith(".")
        and not {*file.relative_to(folder).parts} & {*CHANGING, "cache"}
    }


if __name__ == "__main__":
    sys.exit(main())
