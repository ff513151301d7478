"""What every method of a comparison costs, and how long it takes to a good erasure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison.methods import BOTH_STAGES
from trace_erasure.evaluation import Row, Table
from trace_erasure.evaluation.report.tables import Number

ERASED, KEPT = 0.01, 0.97
"""A good erasure: Acc_e at most, and Acc_s at least as a share of the original model's."""

Run = tuple[str, str, str, int]  # method, kind of concept, concept, seed


def spent(work: Path, keys: Mapping[Run, str]) -> dict[Run, dict[str, float]]:
    """What the erasures in ``work`` took; ``keys`` has the settings of each run.

    An erasure that was made for several purposes was made once.
    """
    file = work / "seconds.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    made = {(line["method"], line["task"], line["concept"], line["seed"]): line for line in lines}
    wanted = {run: (key, *run[1:]) for run, key in keys.items()}
    return {run: made[of] for run, of in wanted.items() if of in made}


def good_runs(rows: Iterable[Row], judge: str) -> set[Run]:
    """The runs that reach a good erasure under one judge; ``rows`` are of concepts and seeds."""
    figures: dict[Run, dict[str, float]] = {}
    for row in rows:
        if row.judge == judge and row.concept not in ("mean", "worst"):
            run = (row.method, row.task.rpartition("-")[2], row.concept, row.seed)
            figures.setdefault(run, {})[row.metric] = row.value
    return {
        run
        for run, found in figures.items()
        if found["acc_e"] <= ERASED and found.get("acc_s_relative", math.nan) >= KEPT
    }


def costs(
    taken: Mapping[Run, Mapping[str, float]], good: set[Run], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """One entry a method: medians over its erasures, and TRACE's seconds as a share of its own.

    The ratios are medians over the erasures of the same concept and seed that are good by both;
    None where there are none.
    """
    entries = []
    for method in methods:
        mine = {run: line for run, line in taken.items() if run[0] == method}
        reached = {run for run in mine if run in good}
        # Trainings with other seeds may make the same file, which counts once.
        files = {str(line["name"]): run in good for run, line in mine.items()}
        entry: dict[str, Any] = {"method": method}
        entry |= {"erasures": len(files), "good": sum(files.values())}
        for field in ("seconds", "added_mib", "bytes"):
            entry[field] = _median(line[field] for line in mine.values() if field in line)
        entry["seconds_to_good"] = _median(mine[run]["seconds"] for run in reached)
        for name, reference in (("trace_ratio", "trace"), ("both_stages_ratio", BOTH_STAGES)):
            both = [run for run in reached if (reference, *run[1:]) in good & taken.keys()]
            entry[name] = _median(
                taken[reference, *run[1:]]["seconds"] / max(mine[run]["seconds"], 0.01)
                for run in both
            )
        entries.append(entry)
    return entries


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(median(found), 3) if found else None


def cost_rows(entries: Sequence[Mapping[str, Any]], model: str, protocol: str) -> list[Row]:
    """The entries of ``costs`` as rows, a metric each; nan for what there is none of."""
    fields: dict[str, Any] = dict(judge="none", numerator=None, seed=0, concept="all")
    fields |= dict(low=math.nan, high=math.nan, model=model, task="compare-cost", protocol=protocol)
    rows = []
    for entry in entries:
        of_method = dict(method=entry["method"], n=entry["erasures"], **fields)
        for metric, value in entry.items():
            if metric not in ("method", "erasures"):
                number = math.nan if value is None else float(value)
                rows.append(Row(metric=metric, value=number, **of_method))
        rows.append(Row(metric="erasures", value=float(entry["erasures"]), **of_method))
    return rows


def cost_table(entries: Sequence[Mapping[str, Any]], title: str) -> Table:
    """The entries of ``costs`` for readers."""

    def cell(value: float | None, form: str = "{:.1f}") -> Number:
        return Number("—" if value is None else form.format(value))

    lines = [
        (
            entry["method"],
            cell(entry["seconds"]),
            cell(entry["added_mib"], "{:.0f}"),
            cell(entry["bytes"] and entry["bytes"] / 2**20, "{:.2f}"),
            Number(f"{entry['good']} of {entry['erasures']}"),
            cell(entry["seconds_to_good"]) if entry["good"] else Number("never"),
            cell(entry["trace_ratio"], "{:.3f}"),
            cell(entry["both_stages_ratio"], "{:.2f}"),
        )
        for entry in entries
    ]
    return Table(
        title,
        (
            "method",
            "seconds",
            "added MiB",
            "file, MiB",
            "good",
            "seconds to good",
            "TRACE's ratio",
            "both stages' ratio",
        ),
        tuple(lines),
        "Medians over erasures, of all methods beside the comparison's other processes. Added "
        "MiB: highest resident size during the erasure, less that before it, when freed memory has "
        "gone back: on top of the loaded model and judges, without what lies on a GPU. Good: "
        f"Acc_e at most {ERASED:.0%} and Acc_s at least {KEPT:.0%} of the original model's, in "
        "the pictures of this comparison. Ratios: TRACE's seconds, or those of both its stages, "
        "to the method's own, over concepts and seeds where both are good; — there are none.",
    )
