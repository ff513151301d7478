"""Erasures of the tasks' concepts, made once and kept under ``--work`` by their settings."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.core.meter import metered
from trace_erasure.artifact.erasure import Erasure
from trace_erasure.baselines.base import Baseline, Method
from trace_erasure.concepts.concept import Concept
from trace_erasure.world import load_world
from trace_erasure.world.scenes import load_scenes

KINDS = {"objects": "object", "styles": "style", "identities": "identity", "hazard": "explicit"}
"""Task to the kind of its concepts."""
SCENE_KINDS = {"implied": "object", "mark": "object"}
"""The same for tasks of emoji-scenes."""

Owner = tuple[str, str]
"""Task and concept that an erasure is made for."""


def concepts_of(task: str, name: str) -> tuple[Concept, ...]:
    """What to erase for one row of ``task``: one concept, or all weapons together.

    The task's name is one of ``KINDS``, with anything before a hyphen: ``dev-objects``; or one of
    ``SCENE_KINDS``.
    """
    kind, world = (KINDS | SCENE_KINDS)[task.rpartition("-")[2]], load_world()
    if kind == "explicit":  # the members, and the word for all of them
        words = [*(thing.name for thing in world.group("weapons")), "weapon"]
        return tuple(Concept(word, kind=kind) for word in words)
    if task == "mark":  # the task calls it what it is, prompts call it a stamp
        name = load_scenes().mark.method[0].split(" ", 1)[1]
    return (Concept(world.styles.get(name, name) if kind == "style" else name, kind=kind),)


def key_of(method: Method) -> str:
    """The settings in a word, for what is kept under ``--work``."""
    text = json.dumps(asdict(method), sort_keys=True)  # type: ignore[call-overload]
    kind = method.NAME if isinstance(method, Baseline) else "trace"
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def erasure_file(owner: Owner, key: str, seed: int, work: Path) -> Path:
    """Where the erasure of a task's concept is kept; ``key`` is ``key_of`` the settings."""
    task, name = owner
    return work / "erasures" / task / key / f"{name.replace(' ', '-')}-{seed}.safetensors"


def erasure_for(
    pipe: Any, owner: Owner, key: str, settings: Method, seed: int, work: Path
) -> Erasure:
    """The erasure that an earlier run left under ``key``, or a new one.

    What a new one takes is added to ``<work>/seconds.jsonl``.
    """
    file = erasure_file(owner, key, seed, work)
    if file.exists():
        return Erasure.load(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    task, name = owner
    with metered() as spent:
        erasure = settings.erase(pipe, concepts_of(task, name), seed=seed, workdir=file.parent)
    erasure.save(file)
    line = {
        "task": task,
        "method": key,
        "concept": name,
        "seed": seed,
        **spent,
        "bytes": file.stat().st_size,
        "name": erasure.name,
    }
    with (work / "seconds.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    return erasure
