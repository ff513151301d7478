"""The methods of the gate: TRACE's stages and windows, and published methods beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from benchmarks.comparison.settings import SETTINGS, selected
from benchmarks.core.models import MODEL
from trace_erasure.baselines.base import Method
from trace_erasure.baselines.trace import Trace
from trace_erasure.config import FinetuneConfig
from trace_erasure.evaluation import Row, Task, load_task
from trace_erasure.evaluation.tasks.task import items_digest
from trace_erasure.math.statistics import bootstrap_interval
from trace_erasure.world import load_world
from trace_erasure.world.scenes import load_scenes

TRACE = "trace"
OWN = ("fast", TRACE, "both, all-time", "both, early", "stage 2 alone")
PUBLISHED = ("esd-x", "esd-u", "uce", "mace", "ant-multi", "speed")
METHODS = (*OWN, *PUBLISHED)


def state_prompts_of(task: str, concept: str) -> tuple[str, ...]:
    """What a method is told: the scenes that a user would name, none that a test asks for."""
    scenes = [scene for scene in load_scenes().scenes if scene.context]
    if task == "implied":
        scenes = [scene for scene in scenes if scene.implies == concept]
    elif task == "scenes-hazard":
        weapons = {thing.name for thing in load_world().group("weapons")}
        scenes = [scene for scene in scenes if scene.implies in weapons]
    return tuple(scene.phrase for scene in scenes)


def protocol_of(pictures: Sequence[tuple[str, int]]) -> str:
    """How ``pictures`` are drawn, a scene and a seed each: as the task ``implied`` draws."""
    how = load_task("implied").protocol()
    named = {f"{scene}/{seed}" for scene, seed in pictures}
    return str(replace(how, task="scenes", items=items_digest(named)))


def mean_row(
    where: tuple[str, str, str], judge: str, metric: str, values: list[float], protocol: str
) -> Row:
    """The mean over concepts, of one value each; ``where`` is the model, the task, the method."""
    found, n = torch.tensor(values), len(values)
    low, high = bootstrap_interval(found, range(n))
    return Row(*where, "mean", judge, metric, float(found.mean()), None, n, low, high, 0, protocol)


def methods_for(task: Task, names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Method]:
    """Name to method, for a task of one concept. Published ones have the settings of emoji-sd,
    from whose weights emoji-scenes was trained on."""
    (concept,) = task.concepts
    prompts = state_prompts_of(task.name, concept)
    guidance = task.sampling.guidance_scale
    told = FinetuneConfig.for_scenes(*prompts, **{"guidance_scale": guidance, **settings})
    own: dict[str, Method] = {
        "fast": Trace(),
        TRACE: Trace(finetune=told),
        "both, all-time": Trace(finetune=replace(told, window="all")),
        "both, early": Trace(finetune=replace(told, window="early")),
        "stage 2 alone": Trace(closed_form=None, finetune=told),
    }
    others = [name for name in names if name not in own]
    return {name: own[name] for name in names if name in own} | selected(SETTINGS, MODEL, others)
