"""TRACE beside the methods it is compared with, on the embedded models.

    make bench-compare                            # all of it, two processes side by side
    python benchmarks/compare.py sweep            # chooses settings on development concepts
    python benchmarks/compare.py table            # measures the chosen ones on test concepts
    python benchmarks/compare.py ablate           # what each part of TRACE buys
    python benchmarks/compare.py sweep --shard 0/2 &      # two processes on one --work folder
    python benchmarks/compare.py sweep --shard 1/2
    python benchmarks/compare.py table --methods trace uce --tasks objects --concepts fox \\
        --per-group 4 --published

**Sweep.** Every method tries the same number of settings, ``variants.BUDGET``, its published
defaults first, on the same concepts, wordings and pictures. One setting is chosen for all kinds of
concept together, by H_o under the first judge, averaged over the kinds; the second judge takes no
part in the choice. ``settings.yaml`` keeps what was chosen and all that was tried.

**Table.** The development concepts are an object that no task erases, and one style and one
person, which are taken out of the tests since the world has no others to spare. Every figure is
over all of ``SEEDS``; every method is tested against TRACE picture by picture; ``STRENGTHS`` are
tried on ``CURVES``. Rows (means and the worst H_o) go to
benchmarks/results/compare-<model>-<task>.jsonl, cost to compare-<model>-cost.jsonl, and a page with
all figures, plots and pictures to <work>/<model>/report.

**Ablation.** TRACE's default, stage 1 alone, with one part changed, and with stage 2 and its parts,
``variants.ABLATION``, on ``ABLATED``. Rows go to benchmarks/results/ablation-<model>.jsonl.

All resume when killed: erasures, pictures and verdicts are kept under <work>/<model>, by the
settings.

**Size.** For at most six hours on two cores, both families: 12 process-hours, 21,600 s each. A
training takes 65 s in one thread beside a second process (that of TRACE's both stages, which has
the most states to go through; the others' are shorter), a closed form, TRACE's default among them,
1 to 3, a picture with its judging 0.15. Either family has six methods that train and four that do
not: TRACE is one of each.

    sweep      10 methods × 4 settings × 3 concepts: 72 trainings 4680 s, 48 closed forms 100 s,
               56 pictures each 1010 s
    table      6 concepts × 3 seeds: 6 × 18 trainings and, of weapons, whose eight words two
               methods train one by one, 3 × 14 more: 9750 s, 72 closed forms 150 s, 84 pictures
               each 2270 s, controls 150 s
    strengths  10 methods × 5 × 3 concepts, 42 pictures each: 950 s
    ablation   12 trainings and 8 closed forms × 2 concepts: 1590 s, 70 pictures each 420 s
    together   21,070 s a family, 5.9 hours for both on two cores

On a GPU that 16 processes share (``--device cuda``) all but a part of the ablation took 7 minutes.

To fit, these were cut: of 10, 5 and 11 test concepts there are 2, 2 and 1; 12 pictures a group
where the tasks have 40 to 200, and 36 retained ones; six settings a method became four; two
development objects became one; strengths and ablation are of single trainings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import yaml

from benchmarks.comparison.cost import cost_rows, cost_table, costs, good_runs, spent
from benchmarks.comparison.report import table_of, write_page
from benchmarks.comparison.units import Unit, development, measure, tested, units_of
from benchmarks.core.common import BASE, BLANK, RESULTS, add_model, load_model, write_rows
from benchmarks.core.methods import ABLATION, BUDGET, COMPARED, GRID, configured, usable
from benchmarks.core.sharing import shared_out
from benchmarks.erasure.tasks import KINDS, STRENGTHS
from trace_erasure.baselines.base import Method
from trace_erasure.errors import InputError
from trace_erasure.evaluation import (
    SEVERAL,
    Row,
    RunFolder,
    Task,
    Verdict,
    over_seeds,
    shipped_classifiers,
    summarise,
    to_markdown,
)
from trace_erasure.evaluation.metrics.paired import paired
from trace_erasure.utils.atomic import atomic
from trace_erasure.utils.sharding import parse_shard, shard_of

SETTINGS = Path(__file__).parent / "settings.yaml"
SEEDS = (0, 1, 2)
CONCEPTS: dict[str, Sequence[str] | None] = {
    "objects": ("fox", "car"),
    "styles": ("neon", "ink"),
    "identities": ("Mira Solberg",),
    "hazard": None,
}
CURVES = {"objects": "fox", "styles": "neon", "identities": "Mira Solberg"}
ABLATED = {"objects": ("fox",), "styles": ("neon",)}
PER_GROUP = {"sweep": 8, "table": 12, "ablate": 10}
PER_GROUP_CURVES = 6


def together(
    options: argparse.Namespace, pipe: Any, units: Sequence[Unit]
) -> list[list[Verdict]] | None:
    """The verdicts of every unit, or None while other processes are at work."""
    judges, work = shipped_classifiers(options.device), RunFolder(options.work / options.model)
    work.folder.mkdir(parents=True, exist_ok=True)
    share = options.shard or shard_of()
    work.note(benchmark=f"compare.py {options.verb}", shard=f"{share[0]}/{share[1]}")
    return shared_out(
        units, share, lambda unit, draw: measure(pipe, unit, judges, work, options.model, draw)
    )


# Sweep ------------------------------------------------------------------------------------


def score(rows: Sequence[Row], judge: str) -> dict[str, float]:
    """Mean H_o, Acc_e, Acc_g and Acc_s over the tasks under one judge."""
    means = [row for row in rows if row.concept == "mean" and row.judge == judge]
    return {
        metric: round(fmean(row.value for row in means if row.metric == metric), 4)
        for metric in ("h_o", "acc_e", "acc_g", "acc_s")
    }


def sweep(options: argparse.Namespace) -> None:
    pipe = load_model(options.model, options.device)
    tasks = development(options.per_group, options.concepts)
    tried: dict[str, list[Mapping[str, Any]]] = {
        name: list(GRID[name][: options.candidates]) for name in usable(pipe, options.methods)
    }
    units, of = [], []
    for name, settings in tried.items():
        for i, overrides in enumerate(settings):
            for task in tasks:
                own = list(units_of(task, {name: configured(name, overrides)}, controls=()))
                units += own
                of += [(name, i)] * len(own)
    found = together(options, pipe, units)
    if found is None:
        return
    for name, settings in tried.items():
        entries = []
        for i, overrides in enumerate(settings):
            mine = [
                v for part, owner in zip(found, of, strict=True) if owner == (name, i) for v in part
            ]
            figures = score(summarise(mine), mine[0].judge)
            entries.append({"settings": dict(overrides), **figures})
            print(f"{name:14} {figures} {dict(overrides)}", flush=True)
        best = max(entries, key=lambda entry: entry["h_o"])
        chosen = {"selected": best["settings"], "tried": entries}
        record(options.out, options.model, name, chosen, tasks)


def record(
    file: Path, model: str, method: str, entry: Mapping[str, Any], tasks: Sequence[Task]
) -> None:
    """Adds one method's choice to the settings file, beside those of others."""
    known = yaml.safe_load(file.read_text("utf-8")) if file.is_file() else {}
    of_model = known.setdefault(model, {})
    protocols = {task.name: str(task.protocol()) for task in tasks}
    of_model[method] = {**entry, "measured_on": protocols}
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(file) as partial:
        partial.write_text(yaml.safe_dump(known, sort_keys=False, width=100), "utf-8")


# Table ------------------------------------------------------------------------------------


def selected(file: Path, model: str, names: Iterable[str]) -> dict[str, Method]:
    """The methods with the settings that a sweep chose for ``model``."""
    known = (yaml.safe_load(file.read_text("utf-8")) or {}) if file.is_file() else {}
    found = {}
    for name in names:
        if name not in known.get(model, {}):
            raise InputError(
                f"{file} has no settings of {name} for {model}. Run `compare.py sweep --model "
                f"{model} --methods {name!r}` first, or use --published."
            )
        found[name] = configured(name, known[model][name]["selected"])
    return found


def table(options: argparse.Namespace) -> None:
    pipe = load_model(options.model, options.device)
    names = usable(pipe, options.methods)
    methods = (
        {name: COMPARED[name] for name in names}
        if options.published
        else selected(options.settings, options.model, names)
    )
    tasks = [
        tested("compare", name, options.concepts or CONCEPTS[name], options.per_group)
        for name in options.tasks
    ]
    units = [unit for task in tasks for unit in units_of(task, methods, options.seeds)]
    curves = [
        tested("strength", name, [CURVES[name]], min(options.per_group, PER_GROUP_CURVES))
        for name in options.tasks
        if name in CURVES and not options.concepts
    ]
    for task in curves:
        units += units_of(task, methods, options.seeds[:1], (BASE,), STRENGTHS)
    found = together(options, pipe, units)
    if found is None:
        return
    of_task: dict[str, list[Verdict]] = {task.name: [] for task in (*tasks, *curves)}
    for unit, part in zip(units, found, strict=True):
        of_task[unit.task.name] += part
    singles, pooled = [], {}
    for task in tasks:
        rows = figures(of_task[task.name])
        singles += rows
        pooled[task.name] = over_seeds(rows) if len(options.seeds) > 1 else rows
        few = kept(pooled[task.name])
        write_rows(
            f"compare-{options.model}-{task.name.removeprefix('compare-')}", few, options.out
        )
        print(to_markdown(table_of(pooled[task.name], f"{options.model}: {task.name}")))
    work = RunFolder(options.work / options.model)
    keys = {(u.method, *u.erased, u.seed): u.key for u in units if u.settings is not None}
    entries = costs(spent(work.folder, keys), good_runs(singles, singles[0].judge), [*methods])
    how = f"seeds={len(options.seeds)} device={options.device}"
    write_rows(f"compare-{options.model}-cost", cost_rows(entries, options.model, how), options.out)
    cost = cost_table(entries, f"{options.model}: cost")
    print(to_markdown(cost))
    strengths = [row for task in curves for row in _summarised(of_task[task.name])]
    measured = {task.name: of_task[task.name] for task in tasks}
    for file in write_page(work, options.model, pooled, strengths, measured, cost):
        print(file)


def figures(verdicts: Sequence[Verdict]) -> list[Row]:
    """Every figure of one task by training seed, with the tests against TRACE where it is there."""
    trace = [v for v in verdicts if v.method == "trace"]
    others = [v for v in verdicts if v.method not in ("trace", BASE, BLANK)]
    rows = [*_summarised(verdicts), *(paired(others, trace) if trace else ())]
    several = len({v.seed for v in verdicts}) > 1
    # Controls are drawn once and stand for every seed.
    return [
        replace(row, seed=SEVERAL) if several and row.method in (BASE, BLANK) else row
        for row in rows
    ]


def _summarised(verdicts: Sequence[Verdict]) -> list[Row]:
    return summarise(verdicts, [v for v in verdicts if v.method == BASE])


def kept(rows: Sequence[Row]) -> list[Row]:
    """The rows that are tracked: what tables show, in few digits; the page has all of them.

    The second judge gives its H_o alone.
    """
    first = rows[0].judge
    means = {"acc_e", "acc_g", "acc_s", "h_o"}
    means |= {f"paired_{part}{side}" for part in ("", "p_") for side in ("erased", "kept")}
    return [
        replace(row, value=round(row.value, 4), low=round(row.low, 4), high=round(row.high, 4))
        for row in rows
        if (row.concept == "mean" and row.metric in (means if row.judge == first else {"h_o"}))
        or (row.concept == "worst" and row.metric == "h_o" and row.judge == first)
    ]


# Ablation ---------------------------------------------------------------------------------


def ablate(options: argparse.Namespace) -> None:
    pipe = load_model(options.model, options.device)
    methods = {name: configured("trace", ABLATION[name]) for name in options.variants}
    tasks = [
        tested("ablation", name, options.concepts or ABLATED[name], options.per_group)
        for name in options.tasks
    ]
    units = [u for task in tasks for u in units_of(task, methods, (0,), (BASE,))]
    found = together(options, pipe, units)
    if found is None:
        return
    rows = []
    for task in tasks:
        verdicts = [
            v for u, part in zip(units, found, strict=True) for v in part if v.task == task.name
        ]
        own = [row for row in kept(_summarised(verdicts)) if row.concept == "mean"]
        rows += own
        print(to_markdown(own, title=f"{options.model}: {task.name}"))
    write_rows(f"ablation-{options.model}", rows, options.out)


VERBS = {"sweep": sweep, "table": table, "ablate": ablate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in VERBS:
        one = verbs.add_parser(verb)
        add_model(one)
        one.add_argument("--work", type=Path, default=Path("runs/compare"))
        most = PER_GROUP[verb]
        one.add_argument("--concepts", nargs="+", help="only these concepts of each task")
        one.add_argument("--per-group", type=int, default=most, help="pictures a group")
        one.add_argument("--shard", type=parse_shard, help="i/n: this process's share of the work")
        one.add_argument("--out", type=Path, default=SETTINGS if verb == "sweep" else RESULTS)
        if verb == "ablate":
            one.add_argument("--variants", nargs="+", default=[*ABLATION], choices=[*ABLATION])
            one.add_argument("--tasks", nargs="+", default=[*ABLATED], choices=[*ABLATED])
            continue
        one.add_argument("--methods", nargs="+", default=[*COMPARED], choices=[*COMPARED])
        if verb == "sweep":
            one.add_argument("--candidates", type=int, default=BUDGET, help="settings a method")
            continue
        one.add_argument("--tasks", nargs="+", default=[*KINDS], choices=[*KINDS])
        one.add_argument("--seeds", nargs="+", type=int, default=[*SEEDS])
        one.add_argument("--settings", type=Path, default=SETTINGS)
        one.add_argument("--published", action="store_true", help="without a sweep's choices")
    options = parser.parse_args()
    VERBS[options.verb](options)


if __name__ == "__main__":
    main()
