"""Many concepts of mixed kinds erased at once: how far the method carries, and what it costs.

    python benchmarks/many.py                                # 1, 5, 10, 25 and 50; resumes
    python benchmarks/many.py --sizes 5 25 --stage-1 --images 10 --steps 12 --judges resnet

Concepts are erased one by one, an artifact each, and merged; a longer list uses the artifacts of
a shorter one. Controls: the plain sum of the artifacts, and ridge only. Rows are written to
benchmarks/results/many-<n>.jsonl.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from common import BASE, BLANK, MODEL, RESULTS, controlled, load_model, write_rows
from trace_erasure.concept import Concept
from trace_erasure.erase_each import erase_each
from trace_erasure.erasure import Erasure
from trace_erasure.evaluate import (
    Item,
    Row,
    RunFolder,
    Sampling,
    Task,
    Verdict,
    shipped_classifiers,
    summarise,
    to_markdown,
)
from trace_erasure.files import atomic
from trace_erasure.math.lowrank import LowRank, cat
from trace_erasure.merge import merge
from trace_erasure.spec import EraseSpec, Merge
from trace_erasure.world import World, load_world, with_article
from trace_erasure.world.vocabulary import indefinite_article

SIZES = (1, 5, 10, 25, 50)
METHODS = ("trace", "ridge only", "plain sum")
# In each round of five; where a kind is used up an object takes its place.
ROUND = ("object", "identity", "object", "style", "explicit")
# So many of a kind at most, so that some of every kind remain to be kept.
MOST = {"identity": 8, "style": 4, "explicit": 5}
SUBJECTS = (
    "lion",
    "turtle",
    "umbrella",
    "guitar",
    "crown",
    "robot",
    "whale",
    "bell",
    "key",
    "fish",
)
WORDINGS = {
    "target": {
        "object": ("{x}", "a picture of {x}", "a drawing of {x}", "{x} on a blue background"),
        "style": ("{y}, {x} style", "{y} in {x} style", "{a_x} style picture of {y}"),
    },
    "template": {
        "object": ("{x}, a picture", "this is a drawing of {x}", "a red background and {x}"),
        "style": ("{x} style, {y}", "{y} on a blue background, {x} style"),
    },
}


def concepts_of(world: World) -> list[Concept]:
    """Every concept in the order in which it joins, of mixed kinds: the first n are size n.

    Objects with synonyms come first, then one of each group in turn, in the world's order.
    """
    groups = {
        name: [thing.name for thing in world.group(name) if not thing.synonyms]
        for name in ("animals", "foods", "vehicles", "plants", "things")
    }
    turns = [names.pop(0) for _ in range(99) for names in groups.values() if names]
    waiting = {
        "object": [*(thing.name for thing in world.targets), *turns],
        "identity": list(world.people)[: MOST["identity"]],
        "style": [world.styles[key] for key in world.named_styles][: MOST["style"]],
        "explicit": [thing.name for thing in world.group("weapons")][: MOST["explicit"]],
    }
    synonyms = {thing.name: thing.synonyms for thing in world.objects}
    found: list[Concept] = []
    while waiting["object"] and len(found) < max(SIZES):
        for wanted in ROUND:
            kind = wanted if waiting[wanted] else "object"
            name = waiting[kind].pop(0)
            found.append(Concept(name, kind=kind, synonyms=synonyms.get(name, ())))
    return found[: max(SIZES)]


def task_of(world: World, concepts: Sequence[Concept], images: int, steps: int) -> Task:
    """``images`` of every concept, three in five in trained wordings, and all that remains.

    What remains is the same for every concept and drawn once.
    """
    labels = {words: f"style/{key}" for key, words in world.styles.items()}
    gone = {concept.phrase for concept in concepts}
    subjects = [with_article(world.thing(name)) for name in SUBJECTS if name not in gone]
    kept: list[tuple[str, str]] = []
    for thing in world.objects:
        if thing.name not in gone:
            kept.append((with_article(thing), f"subject/{thing.name}"))
    kept += [(name, f"subject/{name}") for name in world.people if name not in gone]
    for words, label in labels.items():
        if words not in gone:
            kept += [(f"{subject}, {words} style", label) for subject in subjects[:4]]
    items = []
    for number, concept in enumerate(concepts):
        key = "style" if concept.kind == "style" else "object"
        label = labels.get(concept.phrase, f"subject/{concept.phrase}")
        named = concept.phrase
        if concept.kind in ("object", "explicit"):
            named = with_article(world.thing(concept.phrase))
        for group, count in (("target", images * 3 // 5), ("template", images - images * 3 // 5)):
            templates = list(WORDINGS[group][key])
            words = [named] * len(templates)
            if group == "template" and concept.synonyms:
                templates += ["{x}"] * len(concept.synonyms)
                words += [f"{indefinite_article(w)} {w}" for w in concept.synonyms]
            for i in range(count):
                template, word = templates[i % len(templates)], words[i % len(templates)]
                article = indefinite_article(concept.phrase)
                prompt = template.format(
                    x=word, y=subjects[i % len(subjects)], a_x=f"{article} {concept.phrase}"
                )
                items.append(Item(prompt, 1000 * number + i, group, concept.phrase, (label,)))
        for i, (prompt, own) in enumerate(kept):
            items.append(Item(prompt, 100_000 + i, "retain", concept.phrase, (own,)))
    return Task(f"many-{len(concepts)}", 1, tuple(items), Sampling(steps=steps))


def plain_sum(parts: Sequence[Erasure]) -> Erasure:
    """The control: all artifacts on top of each other, as loading every LoRA would do."""
    total: dict[str, LowRank] = {}
    for path, change in cat([part.delta for part in parts]).items():
        total[path] = change.truncate(min(change.shape))[0]
    first = parts[0]
    return Erasure(first.family, first.base, total, {}, {"title": "Sum"})


def together(pipe: Any, method: str, parts: Sequence[Erasure]) -> Erasure:
    if method == "plain sum":
        return plain_sum(parts)
    return merge(parts, pipe, settings=Merge(mode="ridge" if method == "ridge only" else "auto"))


def verdicts_of(
    pipe: Any, task: Task, method: str, judges: list, work: Path, erasure: Erasure | None = None
) -> list[Verdict]:
    """All verdicts of one method, from their file where an earlier run has made them."""
    how: dict[str, Any] = dict(model=MODEL, method=method, erasure=erasure, autocast=True)
    with controlled(pipe, method):
        return RunFolder(work).measure(pipe, task, judges, **how) or []


def parts_of(pipe: Any, spec: EraseSpec, work: Path) -> tuple[list[Path], dict[str, float]]:
    """One artifact a concept, and the seconds that each took when it was made.

    Each is made by itself, so that it is the same whatever it is merged with later.
    """
    log = work / "seconds.json"
    seconds = json.loads(log.read_text("utf-8")) if log.exists() else {}
    files: list[Path] = []
    for concept in spec.concepts:
        started = time.perf_counter()
        files += erase_each(pipe, replace(spec, concepts=(concept,)), work / "parts")
        if concept.phrase not in seconds:
            seconds[concept.phrase] = time.perf_counter() - started
            with atomic(log) as partial:
                partial.write_text(json.dumps(seconds, indent=1), "utf-8")
    return files, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, choices=range(1, 51))
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--images", type=int, default=20, help="of every concept")
    parser.add_argument("--steps", type=int, default=20, help="of the sampler")
    parser.add_argument("--judges", nargs="+", default=["resnet", "regnet"])
    parser.add_argument("--stage-1", action="store_true", help="closed form only")
    parser.add_argument("--work", type=Path, default=Path("runs/many"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pipe, world = load_model(), load_world()
    judges = [judge for judge in shipped_classifiers() if judge.id.split("@")[0] in options.judges]
    everything = concepts_of(world)
    work = options.work / ("stage-1" if options.stage_1 else "both")
    work.mkdir(parents=True, exist_ok=True)
    for size in options.sizes:
        concepts = tuple(everything[:size])
        task = task_of(world, concepts, options.images, options.steps)
        spec = EraseSpec(concepts)
        spec = replace(spec, finetune=None) if options.stage_1 else spec
        files, seconds = parts_of(pipe, spec, work)
        parts = [Erasure.load(file) for file in files]
        base = verdicts_of(pipe, task, BASE, judges, work)
        rows: list[Row] = summarise(base, base)
        rows += summarise(verdicts_of(pipe, task, BLANK, judges, work), base)
        made = sum(seconds[concept.phrase] for concept in concepts)
        for method in options.methods:
            started = time.perf_counter()
            erasure = together(pipe, method, parts)
            took = time.perf_counter() - started
            found = verdicts_of(pipe, task, method, judges, work, erasure)
            measured = summarise(found, base)
            rows += measured
            like = next(row for row in measured if row.concept == "mean")
            costs = {
                "seconds": made + took,
                "seconds_merge": took,
                "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "artifact_kb": sum(file.stat().st_size for file in files) / 1000 / size,
                "merged_kb": erasure.save(work / f"{task.name}-{method}").stat().st_size / 1000,
            }
            for metric, value in costs.items():
                blank = dict(numerator=None, n=size, low=value, high=value, judge="none")
                rows.append(
                    replace(like, concept="all", metric=metric, value=round(value, 2), **blank)
                )
            merged = erasure.record.get("merged")
            if merged:
                kept = {"size": size, "method": method, **in_short(merged)}
                with (work / "capacity.jsonl").open("a") as log:
                    log.write(json.dumps(kept) + "\n")
        write_rows(task.name, rows, options.out)
        print(to_markdown([r for r in rows if r.concept in ("mean", "worst")], title=task.name))


def in_short(merged: dict[str, Any]) -> dict[str, Any]:
    """What was decided in a merge, without the figures of every concept."""
    streams = merged["capacity"].items()
    names = ("mode", "directions", "needed", "collateral", "most")
    return {
        "cross_talk": merged["cross_talk"],
        **{name: {key: found[key] for key in names} for name, found in streams},
    }


if __name__ == "__main__":
    main()
