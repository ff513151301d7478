"""TRACE beside the methods it is compared with, on the embedded models.

    python benchmarks/compare.py sweep            # chooses settings on development concepts
    python benchmarks/compare.py table            # measures the chosen ones on test concepts
    python benchmarks/compare.py table --methods trace uce --tasks objects --concepts fox \\
        --per-group 4 --published

**Sweep.** Every method tries the same number of settings, ``BUDGET``, its published defaults
first, on the same concepts, wordings and pictures. One setting is chosen for all kinds of concept
together, by H_o under the first judge, averaged over the kinds; the second judge takes no part in
the choice. ``compare_settings.yaml`` keeps what was chosen and all that was tried.

**Table.** The development concepts are two objects that no task erases, and one style and one
person, which are taken out of the tests since the world has no others to spare. Rows go to
benchmarks/results/compare-<model>-<task>.jsonl, wall-clock and file size of every erasure to
compare-<model>-cost.json.

Both resume when killed: erasures, pictures and verdicts are kept under --work, by the settings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

import yaml

from bench import KINDS, verdicts_for
from common import BASE, BLANK, MODEL, RESULTS, load_model, write_rows
from trace_erasure import embedded
from trace_erasure.denoiser import Denoiser
from trace_erasure.errors import InputError
from trace_erasure.evaluate import Row, Task, load_task, shipped_classifiers, summarise, to_markdown
from trace_erasure.files import atomic
from trace_erasure.methods.method import Baseline, Method
from trace_erasure.methods.registry import METHODS

SETTINGS = Path(__file__).parent / "compare_settings.yaml"
DEV_OBJECTS = Path(__file__).parent / "dev-objects.yaml"
HELD_OUT = {"styles": "sketch", "identities": "Samuel Achebe"}
"""Development concepts that are targets of a task; the table leaves them out."""
BUDGET = 6
"""Settings that every method may try, the published ones among them."""

Overrides = Mapping[str, Any]

_SENTENCES = {"templates": True}
GRID: dict[str, list[Overrides]] = {
    "trace": [
        {},
        {"closed_form": {"directions": 4}},
        {"closed_form": {"directions": 16}},
        {"closed_form": {"keep": 48}},
        {"finetune": {"learning_rate": 2e-3}},
        {"finetune": {"steps": 160}},
    ],
    "esd-x": [
        {},
        {**_SENTENCES, "learning_rate": 2e-4},
        {**_SENTENCES, "learning_rate": 5e-4},
        {**_SENTENCES, "learning_rate": 1e-3},
        {**_SENTENCES, "learning_rate": 5e-4, "negative_guidance": 1.0},
        {**_SENTENCES, "learning_rate": 5e-4, "batch": 8},
    ],
    "esd-u": [
        {},
        {**_SENTENCES, "learning_rate": 1e-4},
        {**_SENTENCES, "learning_rate": 2e-4},
        {**_SENTENCES, "learning_rate": 5e-4},
        {**_SENTENCES, "learning_rate": 2e-4, "negative_guidance": 1.0},
        {**_SENTENCES, "learning_rate": 2e-4, "batch": 8},
    ],
    "uce": [
        {},
        {"templates": True},
        {"guide": None},
        {"guide": None, "templates": True},
        {"guide": None, "templates": True, "penalty": 0.05},
        {"guide": None, "templates": True, "penalty": 0.05, "preserve_scale": 0.1},
    ],
    "mace": [
        {},
        {"penalty": 1.0, "learning_rate": 1e-4},
        {"penalty": 0.1, "ordinary": 1.0, "learning_rate": 1e-4},
        {"penalty": 0.1, "ordinary": 1.0, "learning_rate": 1e-3},
        {"penalty": 0.1, "ordinary": 10.0, "learning_rate": 1e-3},
        {"penalty": 0.1, "ordinary": 1.0, "learning_rate": 1e-2},
    ],
    # Objects are decided above the published noise level here, where nothing is reversed.
    "ant-single": [
        {},
        {**_SENTENCES},
        {**_SENTENCES, "noise_level": 0.95},
        {**_SENTENCES, "noise_level": 0.95, "batch": 4},
        {**_SENTENCES, "noise_level": 0.95, "learning_rate": 2e-4},
        {**_SENTENCES, "noise_level": 0.98},
    ],
    # 40 steps at the published rate change nothing; 60 at 1e-2 leave nothing.
    "ant-multi": [
        {},
        {**_SENTENCES, "steps": 60, "ordinary": 1.0, "learning_rate": 2e-3},
        {**_SENTENCES, "steps": 60, "ordinary": 1.0, "learning_rate": 4e-3},
        {**_SENTENCES, "steps": 60, "ordinary": 20.0, "learning_rate": 1e-2},
        {**_SENTENCES, "steps": 60, "ordinary": 1.0, "learning_rate": 2e-3, "noise_level": 0.95},
        {**_SENTENCES, "steps": 60, "ordinary": 20.0, "learning_rate": 4e-3, "noise_level": 0.95},
    ],
    "eraseanything": [
        {},
        {"steps": 400},
        {"attention": 0.01},
        {"attention": 0.1},
        {"learning_rate": 3e-3},
        {"flow": 1.0},
    ],
    "rece": [
        {},
        {"guide": None},
        {"rounds": 1},
        {"attack": 1e-3},
        {"guide": None, "penalty": 0.05},
        {"guide": None, "penalty": 0.05, "preserve_scale": 1.0},
    ],
    "speed": [
        {},
        {"penalty": 0.05},
        {"guide": None, "penalty": 0.05},
        {"guide": None, "penalty": 0.05, "templates": True},
        {"guide": None, "penalty": 0.05, "templates": True, "threshold": 0.5},
        {"guide": None, "penalty": 0.005, "templates": True},
    ],
}


def configured(name: str, overrides: Overrides) -> Method:
    """A method with some of its settings changed; TRACE's stages by mappings of theirs."""
    method: Any = METHODS[name]
    return replace(
        method,
        **{
            key: replace(getattr(method, key), **value) if isinstance(value, Mapping) else value
            for key, value in overrides.items()
        },
    )


def key_of(name: str, method: Method) -> str:
    """The method's name with a hash of its settings, for what is kept under --work."""
    text = json.dumps(asdict(method), sort_keys=True)  # type: ignore[call-overload]
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def usable(pipe: Any, names: Sequence[str]) -> list[str]:
    """The methods that are made for the pipeline's family; says which are not."""
    denoiser, found = Denoiser(pipe), []
    for name in names:
        method = METHODS[name]
        try:
            if isinstance(method, Baseline):
                method.check(denoiser)
            found.append(name)
        except InputError as error:
            print(f"{name} is left out: {error}")
    return found


# Sweep ------------------------------------------------------------------------------------


def development(per_group: int | None, concepts: Sequence[str] | None) -> list[Task]:
    """The development tasks, with only those of their concepts that are asked for."""
    tasks = [load_task(DEV_OBJECTS)]
    for name, concept in HELD_OUT.items():
        task = load_task(name).subset([concept])
        tasks.append(replace(task, name=f"dev-{name}"))
    found = []
    for task in tasks:
        names = [name for name in task.concepts if concepts is None or name in concepts]
        if names:
            found.append(task.subset(names, per_group))
    if not found:
        known = ", ".join(name for task in tasks for name in task.concepts)
        raise InputError(f"none of {concepts} is a development concept. They are: {known}.")
    return found


def score(rows: Sequence[Row], judge: str) -> dict[str, float]:
    """Mean H_o, Acc_e, Acc_g and Acc_s over the tasks under one judge."""
    means = [row for row in rows if row.concept == "mean" and row.judge == judge]
    return {
        metric: round(fmean(row.value for row in means if row.metric == metric), 4)
        for metric in ("h_o", "acc_e", "acc_g", "acc_s")
    }


def sweep(options: argparse.Namespace) -> None:
    pipe, judges = load_model(options.model), shipped_classifiers()
    tasks = development(options.per_group, options.concepts)
    chosen: dict[str, Any] = {}
    for name in usable(pipe, options.methods):
        tried = []
        for overrides in GRID[name][: options.candidates]:
            method = configured(name, overrides)
            key = key_of(name, method)
            rows: list[Row] = []
            for task in tasks:
                found = verdicts_for(
                    pipe, task, key, 0, judges, options.work,
                    methods={key: method}, model=options.model,
                )  # fmt: skip
                rows += summarise(found)
            figures = score(rows, judges[0].id)
            tried.append({"settings": dict(overrides), **figures})
            print(f"{name:14} {figures} {dict(overrides)}", flush=True)
        best = max(tried, key=lambda entry: entry["h_o"])
        chosen[name] = {"selected": best["settings"], "tried": tried}
        record(options.out, options.model, name, chosen[name], tasks)


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
                f"{model} --methods {name}` first, or use --published."
            )
        found[name] = configured(name, known[model][name]["selected"])
    return found


def tested(name: str, concepts: Sequence[str] | None, per_group: int | None) -> Task:
    """A task without what settings were chosen on."""
    task = load_task(name)
    left = [concept for concept in task.concepts if concept != HELD_OUT.get(name)]
    return task.subset(left, per_group).subset(concepts)


def costs(work: Path, tasks: Sequence[str], keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """What every erasure in ``work`` took, for these tasks and methods; ``keys`` names them."""
    file = work / "seconds.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    wanted = [line for line in lines if line["task"] in tasks and line["method"] in keys]
    return [{**line, "method": keys[line["method"]]} for line in wanted]


def table(options: argparse.Namespace) -> None:
    pipe, judges = load_model(options.model), shipped_classifiers()
    names = usable(pipe, options.methods)
    if options.published:
        methods = {name: METHODS[name] for name in names}
    else:
        methods = selected(options.settings, options.model, names)
    by_key = {key_of(name, method): method for name, method in methods.items()}
    name_of = {key_of(name, method): name for name, method in methods.items()}
    for task_name in options.tasks:
        task = tested(task_name, options.concepts, options.per_group)
        shared = dict(methods=by_key, model=options.model)
        base = verdicts_for(pipe, task, BASE, 0, judges, options.work, **shared)
        blank = verdicts_for(pipe, task, BLANK, 0, judges, options.work, **shared)
        rows = summarise(base, base) + summarise(blank, base)
        for key, name in name_of.items():
            for seed in options.seeds:
                found = verdicts_for(pipe, task, key, seed, judges, options.work, **shared)
                rows += [replace(row, method=name) for row in summarise(found, base)]
        write_rows(f"compare-{options.model}-{task_name}", rows, options.out)
        means = [row for row in rows if row.concept in ("mean", "worst")]
        print(to_markdown(means, title=f"{options.model}: {task_name}"))
    spent = costs(options.work, options.tasks, name_of)
    file = options.out / f"compare-{options.model}-cost.json"
    with atomic(file) as partial:
        partial.write_text(json.dumps(spent, indent=1) + "\n", "utf-8")
    for name in names:
        mine = [line for line in spent if line["method"] == name]
        if mine:
            seconds, size = (median(line[field] for line in mine) for field in ("seconds", "bytes"))
            print(f"{name:14} {seconds:8.1f} s  {size / 2**20:7.2f} MiB  (median of {len(mine)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("sweep", "table"):
        one = verbs.add_parser(verb)
        one.add_argument("--model", default=MODEL, choices=embedded.PIPELINES)
        one.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
        one.add_argument("--concepts", nargs="+", help="only these concepts of each task")
        one.add_argument("--per-group", type=int, help="at most so many pictures a group")
        one.add_argument("--work", type=Path, default=Path("runs/bench"))
        if verb == "sweep":
            one.add_argument("--candidates", type=int, default=BUDGET, help="settings a method")
            one.add_argument("--out", type=Path, default=SETTINGS)
        else:
            one.add_argument("--tasks", nargs="+", default=[*KINDS], choices=[*KINDS])
            one.add_argument("--seeds", nargs="+", type=int, default=[0])
            one.add_argument("--settings", type=Path, default=SETTINGS)
            one.add_argument("--published", action="store_true", help="without a sweep's choices")
            one.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    (sweep if options.verb == "sweep" else table)(options)


if __name__ == "__main__":
    main()
