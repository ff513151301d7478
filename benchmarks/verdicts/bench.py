"""Is the word right that an erasure gives itself? Good and careless erasures, by pictures.

    python -m benchmarks verdict --model emoji-sd       # resumes when killed
    python -m benchmarks verdict --model emoji-sd --fit # to the rows there are
    python -m benchmarks verdict --model emoji-flux

Some hundred erasures are made, good ones and such as people make by mistake: typing errors,
plurals, wrong kinds, two names at once, surrogates that are no words, things that the model cannot
draw. ``truth`` says by pictures what each did. It takes about six seconds an erasure on one core.

Half of the concepts, by lot, are kept apart. From the others ``fit`` makes the limits of the
verdict, which are written to ``src/trace_erasure/artifact/verdict_limits.json`` for the mode of the
model's solves; the rows say how often the word is right on either half. Every erasure with its
figures is a line of ``<out>/<model>/verdict-cases.json``.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import trace_erasure.artifact
from benchmarks.core.commit import commit
from benchmarks.core.models import load_model
from benchmarks.core.options import folder_of
from benchmarks.core.rows import rows_file, write_rows
from benchmarks.core.sharing import shared_out
from benchmarks.verdicts.cases import cases, held_apart
from benchmarks.verdicts.fit import FIGURES, Judged, counts, fit
from benchmarks.verdicts.measure import Workbench
from benchmarks.verdicts.truth import GONE, KEPT, LEFT, LOST, NAMED, OTHERS, STEPS, Truth
from trace_erasure.artifact.verdict import LIMITS
from trace_erasure.evaluation import Row, shipped_classifiers
from trace_erasure.evaluation.tasks.task import JudgingProtocol
from trace_erasure.math.statistics import rate, wilson_interval
from trace_erasure.math.verdict import Limits
from trace_erasure.pipeline import shipped
from trace_erasure.utils.atomic import atomic

TABLE = Path(trace_erasure.artifact.__file__).parent / LIMITS

CASES = 140


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--cases", type=int, default=CASES, help=f"how many of the list (default: {CASES})"
    )
    parser.add_argument(
        "--again", action="store_true", help="make erasures again, for figures of this code"
    )
    parser.add_argument(
        "--fit", action="store_true", help="only fit to the rows that are there; nothing is drawn"
    )


def run(options: Namespace) -> None:
    if not options.fit:
        pipe = load_model(options.model, options.device)
        judges = shipped_classifiers(options.device)
        bench = Workbench(pipe, judges, folder_of(options), options.again)
        found = shared_out(cases()[: options.cases], options.shard, bench.measure)
        if found is None:
            return
        write_cases(found, options)
    report(options)


def write_cases(found: Sequence[Mapping[str, Any]], options: Namespace) -> None:
    """Puts what was measured in the place of the same cases among the rows."""
    file = cases_file(options)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = {one["case"]: one for one in read_cases(file)} if file.is_file() else {}
    for one in found:
        lines.pop(one["title"], None)
        if "refused" not in one:
            lines[one["title"]] = _line(one)
    with atomic(file) as partial:
        text = ",\n".join(json.dumps(one, ensure_ascii=False) for one in lines.values())
        partial.write_text(f"[\n{text}\n]\n", "utf-8")
    print(sum("refused" in one for one in found), "of", len(found), "were refused")


def cases_file(options: Namespace) -> Path:
    """Where the judged erasures of a model stand, beside its rows."""
    return rows_file("verdict-cases", options.model, options.out).with_suffix(".json")


def read_cases(file: Path) -> list[dict[str, Any]]:
    """The judged erasures of a file."""
    return json.loads(file.read_text("utf-8"))


def report(options: Namespace) -> None:
    """Fits the limits to the rows, and writes both them and how often the word is right."""
    file = cases_file(options)
    listed = read_cases(file)
    parts: dict[str, list[Judged]] = {"calibration": [], "held out": []}
    for one in listed:
        part = "held out" if held_apart(one["key"]) else "calibration"
        parts[part].append(Judged(one["figures"], one["word"]))
    limits = fit(parts["calibration"])
    made = {
        "command": f"python -m benchmarks verdict --model {options.model}",
        "rows": f"benchmarks/results/{options.model}/{file.name}",
        "commits": sorted({one["commit"] for one in listed}),
        "calibration": len(parts["calibration"]),
        "held_out": len(parts["held out"]),
        "good": f"named at most {GONE}, others at least {KEPT}",
        "failed": f"named above {LEFT} or others below {LOST}",
    }
    (mode,) = {one["mode"] for one in listed}
    write_limits(mode, limits, made)
    rows = [row for part, own in parts.items() for row in _rows(part, own, limits, options.model)]
    write_rows("verdict", options.model, rows, options.out)
    for part, own in parts.items():
        print(part, len(own), json.dumps(counts(own, limits)))
    print({name: (own.good, own.failed) for name, own in limits.items()})


def write_limits(mode: str, limits: Mapping[str, Limits], made: Mapping[str, Any]) -> None:
    """Puts the limits of one mode, and where they come from, into the package's table."""
    table = json.loads(TABLE.read_text("utf-8"))
    plain = {
        name: {key: value for key, value in asdict(own).items() if math.isfinite(value)}
        for name, own in limits.items()
    }
    table["limits"] = {**table["limits"], mode: plain}
    table["made"] = {**table.get("made", {}), mode: dict(made)}
    with atomic(TABLE) as partial:
        partial.write_text(json.dumps(table, indent=1) + "\n", "utf-8")


def _line(one: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``verdict-cases``: what was erased, what pictures show, the figures."""
    record, truth = one["record"], Truth(**one["truth"])
    figures = record["verdict"]["figures"]
    return {
        "case": one["title"],
        "key": one["key"],
        "mode": record["spec"]["closed_form"]["mode"],
        "word": truth.word,
        **asdict(truth),
        "figures": {name: round(figures[name], 4) for name in FIGURES},
        "commit": commit(),
    }


def _rows(
    part: str, judged: Sequence[Judged], limits: Mapping[str, Limits], model: str
) -> Iterator[Row]:
    """For each word: how often it is said, and the share that is right."""
    protocol = JudgingProtocol(
        "verdict", "1", f"{NAMED}+{OTHERS}", "own", str(STEPS), str(shipped.GUIDANCE), "native",
        "bfloat16",
    )  # fmt: skip
    for said, by_pictures in counts(judged, limits).items():
        n, right = sum(by_pictures.values()), by_pictures[said]
        low, high = wilson_interval(right, n)
        row = Row(
            model=model, task=f"verdict/{part}", method=said, concept="all", judge="both",
            metric="right", value=rate(right, n), numerator=right, n=n, low=low,
            high=high, seed=0, protocol=str(protocol),
        )  # fmt: skip
        yield row
        low, high = wilson_interval(n, len(judged))
        yield replace(
            row,
            metric="said",
            value=rate(n, len(judged)),
            numerator=n,
            n=len(judged),
            low=low,
            high=high,
        )
