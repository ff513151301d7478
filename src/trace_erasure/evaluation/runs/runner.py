"""Draws a task's pictures once and collects every judge's verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

from PIL import Image
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.evaluation.judges.base import (
    Detection,
    Detector,
    Evaluator,
    Judge,
    Scorer,
    group_of,
    is_multi_label,
    label_groups,
    probabilities,
)
from trace_erasure.evaluation.runs.controls import is_blank
from trace_erasure.evaluation.runs.records import Verdict
from trace_erasure.evaluation.tasks.task import KEPT, Item, Task
from trace_erasure.evaluation.tasks.task import JudgingProtocol as TaskProtocol
from trace_erasure.pipeline.families.registry import family_of
from trace_erasure.pipeline.generate import generate_batches
from trace_erasure.pipeline.image_store import ImageStore
from trace_erasure.utils.quiet_libraries import quiet_loading

NOTHING = "subject/nothing"


class Attachable(Protocol):
    """What ``evaluate`` needs of an erasure."""

    def attach(self, pipe: Any) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True)
class JudgeOutput:
    """The output of one judge for one picture."""

    probabilities: Tensor | None
    score: float | None
    detections: Sequence[Detection] = ()


def collect_verdicts(  # noqa: PLR0913 - its options are keyword-only
    pipe: Any,
    task: Task,
    judges: Sequence[Evaluator],
    *,
    model: str,
    method: str,
    seed: int = 0,
    erasure: Attachable | Mapping[str, Attachable] | None = None,
    store: ImageStore | None = None,
    batch: int = 50,
    autocast: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> list[Verdict]:
    """Draws the items of ``task``, each picture once, and collects every judge's verdict.

    Controls are evaluated in the same way: the original model (``method="base"``), and the
    degenerate one within ``blanked(pipe)`` (``method="blank"``). Both are drawn once for all
    concepts, since nothing about them depends on the concept.

    Pictures are drawn in fixed batches of the task's list (of the concept's, where every concept
    has its own erasure), so that they are the same bit for bit however many processes share the
    work; see ``generate``. A killed run loses the batch at work and nothing else.

    Args:
        pipe: a diffusers text-to-image pipeline; it is given back as it was.
        judges: classifiers and scorers; see ``judges.py``.
        model, method, seed: names of the model and of the method, and the seed that the erasure
            was trained with. They mark the verdicts and keep stored pictures apart.
        erasure: one erasure for the whole task, one for each concept by name, or none.
        store: where pictures are kept; a killed run then goes on where it was.
        shard: (i, n) to draw only every n-th batch; the verdicts of all shards together are the
            whole.

    Raises:
        InputError: the judges do not know an expected label, or a concept has no erasure.
    """
    check_labels(task, judges)
    verdicts: list[Verdict] = []
    for concepts, one in _erasures(task, erasure):
        items = [item for item in task.items if item.concept in concepts]
        source = f"{model} {method} {'' if one is None else '+'.join(concepts)} {seed}"
        with nullcontext() if one is None else one.attach(pipe):
            options = dict(store=store, batch=batch, autocast=autocast, shard=shard)
            pictures = _judge_pictures(pipe, task, items, judges, source, **options)
        protocols = {name: str(used_protocol(pipe, task, name, autocast)) for name in concepts}
        for item in items:
            if (item.prompt, item.seed, item.text) not in pictures:  # another shard's
                continue
            image, blank, readings = pictures[item.prompt, item.seed, item.text]
            for judge in judges:
                known = dict(
                    model=model,
                    task=task.name,
                    method=method,
                    seed=seed,
                    concept=item.concept,
                    judge=judge.id,
                    protocol=protocols[item.concept],
                    item=item.id,
                    group=item.group,
                    prompt=item.shown,
                    image_seed=item.seed,
                    image=image,
                    expected=item.expects,
                    companion=item.companion,
                    blank=blank,
                )
                verdicts.append(
                    Verdict(**known, **_verdict_fields(judge, readings[judge.id], item))
                )
    return verdicts


def check_labels(task: Task, judges: Sequence[Evaluator]) -> None:
    """Raises ``InputError`` if a judge that classifies does not know an expected label."""
    if len({judge.id for judge in judges}) != len(judges):
        raise InputError("the same judge is given twice. Give every judge once.")
    for judge in judges:
        known = getattr(judge, "labels", ())
        for item in task.items:
            for label in (*item.expects, *filter(None, [item.companion])):
                if known and label not in known:
                    raise InputError(
                        f"judge {judge.id} does not know the label {label!r} of task "
                        f"{task.name!r}. Its labels begin with {', '.join(known[:3])}. "
                        "Use a judge that was trained for this task."
                    )


def used_protocol(pipe: Any, task: Task, concept: str, autocast: bool) -> TaskProtocol:
    """The task's protocol with what this pipeline adds: its scheduler and its precision."""
    protocol = task.protocol(concept)
    scheduler = task.sampling.scheduler or type(pipe.scheduler).__name__
    return replace(protocol, scheduler=scheduler, precision=precision(pipe, autocast))


def precision(pipe: Any, autocast: bool) -> str:
    """The numeric precision that a pipeline draws in, as protocols write it."""
    dtype = family_of(pipe).network(pipe).dtype
    return "bfloat16-autocast" if autocast else str(dtype).removeprefix("torch.")


def _erasures(
    task: Task, erasure: Attachable | Mapping[str, Attachable] | None
) -> Iterator[tuple[tuple[str, ...], Attachable | None]]:
    """Which concepts are drawn with which erasure."""
    if not isinstance(erasure, Mapping):
        yield task.concepts, erasure
        return
    missing = [concept for concept in task.concepts if concept not in erasure]
    if missing:
        raise InputError(
            f"no erasure for {', '.join(missing)} in task {task.name!r}. Give one for every "
            "concept, or evaluate task.subset([…])."
        )
    for concept in task.concepts:
        yield (concept,), erasure[concept]


def _judge_pictures(
    pipe: Any,
    task: Task,
    items: Sequence[Item],
    judges: Sequence[Evaluator],
    source: str,
    **options: Any,
) -> dict[tuple[str, int, str], tuple[str, bool, dict[str, JudgeOutput]]]:
    """(prompt, seed, text) to picture id, blankness and every judge's reading, by batches."""
    wanted = list(dict.fromkeys((item.prompt, item.seed, item.text) for item in items))
    batches = generate_batches(
        pipe,
        [prompt for prompt, _, _ in wanted],
        [seed for _, seed, _ in wanted],
        task.sampling,
        model=source,
        **options,
    )
    seen = {}
    # Libraries warn of truncated prompts and quote them; those with an alias must not be shown.
    offensive = any(item.alias for item in items)
    with quiet_loading() if offensive else nullcontext():
        for part, ids, images in batches:
            texts = [wanted[i][2] or wanted[i][0] for i in part]
            readings = {judge.id: _judge_outputs(judge, images, texts) for judge in judges}
            for row, (i, name, image) in enumerate(zip(part, ids, images, strict=True)):
                of_image = {judge: reading[row] for judge, reading in readings.items()}
                seen[wanted[i]] = (name, is_blank(image), of_image)
    return seen


def _judge_outputs(
    judge: Evaluator, images: Sequence[Image.Image], texts: Sequence[str]
) -> list[JudgeOutput]:
    chances: list[Tensor | None] = [None] * len(images)
    scores: list[float | None] = [None] * len(images)
    if isinstance(judge, Detector):
        return [JudgeOutput(None, None, found) for found in judge.detect(images)]
    if isinstance(judge, Judge) and judge.labels:
        chances = list(probabilities(judge.classify(images), judge.labels, is_multi_label(judge)))
    if isinstance(judge, Scorer):
        scores = judge.score(images, texts).tolist()
    return [JudgeOutput(chance, score) for chance, score in zip(chances, scores, strict=True)]


def detector_for(judge: Evaluator, item: Item) -> Callable[[Sequence[Image.Image]], list[bool]]:
    """Pictures to whether ``judge`` counts each as showing what ``item`` expects.

    Raises ``InputError`` for a judge that only scores, or does not know the label.
    """
    labels = getattr(judge, "labels", ())
    if not (labels or isinstance(judge, Detector)):
        raise InputError(
            f"judge {judge.id} scores pictures and says of none what it shows. "
            "Give an image classifier or a detector."
        )
    check_labels(Task("pictures", 1, (item,)), [judge])

    def detect(images: Sequence[Image.Image]) -> list[bool]:
        readings = _judge_outputs(judge, images, [item.prompt] * len(images))
        return [bool(_verdict_fields(judge, reading, item)["correct"]) for reading in readings]

    return detect


def _verdict_fields(judge: Evaluator, reading: JudgeOutput, item: Item) -> dict[str, Any]:
    """The fields of a verdict that are the judge's own."""
    if isinstance(judge, Detector):
        found = reading.detections
        seen = [one for one in found if one.label in judge.counted and one.score >= judge.threshold]
        return {
            "labels": tuple(dict.fromkeys(one.label for one in seen))[:2],
            "correct": bool(seen),
            "detections": tuple(map(str, found)),
            "threshold": judge.threshold,
        }
    chance = reading.probabilities
    if chance is None or not isinstance(judge, Judge):
        return {"score": reading.score}
    if is_multi_label(judge):
        return _multi_label_fields(judge.labels, chance, item)
    groups = label_groups(judge.labels)
    nothing = None
    if NOTHING in judge.labels:
        subjects = groups[group_of(NOTHING)]
        nothing = judge.labels[subjects[int(chance[subjects].argmax())]] == NOTHING
    # Nothing is expected of a picture without labels: then the judge's first group is shown.
    group = groups[group_of(item.expects[0] if item.expects else judge.labels[0])]
    best = [group[i] for i in chance[group].topk(min(2, len(group))).indices.tolist()]
    labels = tuple(judge.labels[i] for i in best)
    seen = labels if item.companion else labels[:1]
    expected = [judge.labels.index(label) for label in item.expects]
    return {
        "labels": labels,
        "probability": float(chance[expected].sum()),
        "correct": any(label in item.expects for label in seen),
        "nothing": nothing,
        "score": reading.score,
    }


def _multi_label_fields(labels: Sequence[str], chance: Tensor, item: Item) -> dict[str, Any]:
    """The fields of a verdict where every label is a yes or no of its own.

    A picture that should keep two things, the expected one and its companion, must show both.
    """
    shown = tuple(
        label for label, value in zip(labels, chance.tolist(), strict=True) if value > 0.5
    )
    seen = any(label in item.expects for label in shown)
    if item.companion and item.group in KEPT:
        seen = seen and item.companion in shown
    expected = [labels.index(label) for label in item.expects]
    return {
        "labels": shown,
        "probability": float(chance[expected].max()) if expected else 0.0,
        "correct": seen,
    }
