"""TRACE with one of its parts changed, and with stage 2 and its parts, on ``ABLATED``.

    python -m benchmarks ablation                 # resumes when killed

Every part is tested against the default, picture by picture and over concepts. Rows go to
<out>/<model>/ablation.jsonl, tasks ``ablation-<task>``.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from benchmarks.comparison.figures import figures, tracked
from benchmarks.comparison.methods import Overrides, configured
from benchmarks.comparison.units import Unit, tested, units_of, verdicts_of
from benchmarks.core.models import BASE, load_model
from benchmarks.core.rows import write_rows
from trace_erasure.config import MODES
from trace_erasure.evaluation import Task, to_markdown

ABLATED = {"objects": ("cat", "car", "house"), "styles": ("neon", "ink", "watercolor")}
"""Three of each kind, so that a part that matters for some concepts alone shows in the interval."""
PER_GROUP = 16


def _stage_1(**settings: Any) -> Overrides:
    return {"closed_form": settings}


def _stage_2(**settings: Any) -> Overrides:
    return {"finetune": settings}


ABLATION: dict[str, Overrides] = {
    "default": {},
    **{mode: _stage_1(mode=mode) for mode in MODES},
    **{f"{n} directions": _stage_1(directions=n) for n in (4, 16)},
    **{f"equality, {n} held": _stage_1(mode="equality", keep=n) for n in (0, 48)},
    "both stages": _stage_2(),
    **{f"both stages, {window} window": _stage_2(window=window) for window in ("early", "all")},
    "both stages, no early hold": _stage_2(early=0.0),
    "both stages, no retain term": _stage_2(retain=0.0),
    **{f"both stages, rank {rank}": _stage_2(rank=rank) for rank in (1, 16)},
    **{f"both stages, {name}": _stage_2(objective=name) for name in ("reverse_cfg", "margin")},
    **{
        f"stage 2 alone, {window} window": {"closed_form": None, **_stage_2(window=window)}
        for window in ("late", "early", "all")
    },
}
"""TRACE, which is stage 1 alone, with one part changed; with stage 2 added, and that with one part
changed; and stage 2 without stage 1, where its windows are seen best. The default has 8 directions,
24 held, and of ``MODES`` the one that fits the family, which thus repeats it: equality on emoji-sd,
ridge on emoji-flux. Stage 2 has the late window, rank 8 and ``anchor``."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", nargs="+", default=[*ABLATED], choices=[*ABLATED])
    parser.add_argument("--variants", nargs="+", default=[*ABLATION], choices=[*ABLATION])
    parser.add_argument("--concepts", nargs="+", help="only these concepts of each task")
    parser.add_argument("--per-group", type=int, default=PER_GROUP, help="pictures a group")


def tasks_of(options: Namespace) -> list[Task]:
    """The tasks, with the concepts of ``ABLATED`` or those that are asked for."""
    return [
        tested("ablation", name, options.concepts or ABLATED[name], options.per_group)
        for name in options.tasks
    ]


def units_for(options: Namespace) -> list[Unit]:
    """All the work of an ablation."""
    methods = {name: configured("trace", ABLATION[name]) for name in options.variants}
    return [u for task in tasks_of(options) for u in units_of(task, methods, (0,), (BASE,))]


def run(options: Namespace) -> None:
    pipe = load_model(options.model, options.device)
    tasks, units = tasks_of(options), units_for(options)
    found = verdicts_of("ablation", options, pipe, units)
    if found is None:
        return
    rows = []
    for task in tasks:
        verdicts = [
            v for u, part in zip(units, found, strict=True) for v in part if v.task == task.name
        ]
        every = figures(verdicts, "default")
        own = [row for row in tracked(every) if row.concept == "mean"]
        rows += own
        print(to_markdown(own, title=f"{options.model}: {task.name}"))
    write_rows("ablation", options.model, rows, options.out)
