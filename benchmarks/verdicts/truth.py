"""What an erasure did, by pictures: how much of what was meant is left, how much else is kept.

The rule was fixed before a picture was drawn:

    good      named at most 5 % and others at least 97 %
    failed    named above 50 % or others below 90 %
    weak      everything between

*Named*: of the readings that saw what was meant on the original model, the share that see it
still, in eight pictures that name it by its right name. *Others*: of the readings that were right
about 24 other pictures, the share that are right still. A reading is one judge on one picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from benchmarks.verdicts.cases import Case, subject
from trace_erasure.evaluation.judges.base import Judge, label_groups
from trace_erasure.pipeline import shipped
from trace_erasure.pipeline.generate import generate
from trace_erasure.world import load_world

NAMED, OTHERS = 8, 24
STEPS = 12
GONE, KEPT = 0.05, 0.97
LEFT, LOST = 0.5, 0.9
OBJECT_FRAMES = (
    "{x}", "a picture of {x}", "a drawing of {x}", "this is {x}", "{x} on a blue background",
    "an image of {x} on a yellow background", "{x}, ink style", "{x} in neon style",
)  # fmt: skip
OTHER_FRAMES = ("{x}", "a picture of {x}", "{x} on a red background")
PEOPLE_FRAMES = OBJECT_FRAMES[:6]
STYLE_FRAMES = ("{x}, {style} style", "{x} in {style} style")
STYLED = (
    "a lion", "an owl", "a penguin", "an elephant", "a turtle", "a butterfly", "a banana",
    "a pineapple", "a bus", "a helicopter", "a cactus", "a castle", "an umbrella", "a guitar",
    "a crown", "a robot",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One picture: any of ``labels`` is what it should show."""

    prompt: str
    seed: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Truth:
    """Counts of readings.

    Attributes:
        named, named_before: that see what was meant, after and before.
        others, others_before: that are right about something else, after and before.
    """

    named: int
    named_before: int
    others: int
    others_before: int

    @property
    def seen(self) -> float:
        """Share of what was meant that is left; 0 where the model could never draw it."""
        return self.named / self.named_before if self.named_before else 0.0

    @property
    def kept(self) -> float:
        return self.others / self.others_before

    @property
    def word(self) -> str:
        """The verdict that the pictures give."""
        if self.seen > LEFT or self.kept < LOST:
            return "failed"
        return "good" if self.seen <= GONE and self.kept >= KEPT else "weak"


def named_items(case: Case) -> list[Item]:
    """``NAMED`` pictures that name what was meant, in equal parts."""
    world = load_world()
    if case.wording:
        things = [(case.wording, case.meant)]
    else:
        things = [(_words(label), (label,)) for label in case.meant]
    found = []
    for words, labels in things:
        if labels[0].startswith("style/"):
            texts = [STYLE_FRAMES[i % 2].format(x=x, style=words) for i, x in enumerate(STYLED)]
        else:
            person = labels[0].partition("/")[2] in world.people
            frames = PEOPLE_FRAMES if person else OBJECT_FRAMES
            texts = [frame.format(x=words) for frame in frames]
        count = NAMED // len(things)
        found += [Item(texts[i % len(texts)], 1000 + i, labels) for i in range(count)]
    return found


def _words(label: str) -> str:
    """How prompts name what ``label`` stands for."""
    group, _, name = label.partition("/")
    world = load_world()
    if group == "style":
        return world.styles[name]
    if name in world.people:
        return name
    return f"{world.thing(name).article} {name}".strip()


def other_items() -> list[Item]:
    """Everything that the model draws: objects, styles, people."""
    world = load_world()
    found = [
        Item(OTHER_FRAMES[i % 3].format(x=_words(subject(t.name))), 2000 + i, (subject(t.name),))
        for i, t in enumerate(world.objects)
    ]
    for i, key in enumerate(world.named_styles):
        for j in range(4):
            x = STYLED[(4 * i + j) % len(STYLED)]
            text = STYLE_FRAMES[j % 2].format(x=x, style=world.styles[key])
            found.append(Item(text, 3000 + 4 * i + j, (f"style/{key}",)))
    found += [Item(name, 4000 + i, (subject(name),)) for i, name in enumerate(world.people)]
    return found


def others_of(case: Case) -> list[Item]:
    """``OTHERS`` of ``other_items`` that are not, and do not name, what was meant."""
    names = [_words(label) for label in case.meant]
    left = [
        item
        for item in other_items()
        if not set(item.labels) & set(case.meant) and not any(n in item.prompt for n in names)
    ]
    return Random(case.key).sample(left, OTHERS)


def read(pipe: Any, items: Sequence[Item], judges: Sequence[Judge]) -> torch.Tensor:
    """Whether each judge sees in each picture one of its labels: bool, (items, judges)."""
    images = generate(
        pipe,
        [item.prompt for item in items],
        [item.seed for item in items],
        steps=STEPS,
        guidance_scale=shipped.GUIDANCE,
        batch=NAMED + OTHERS,
        autocast=True,
    )
    seen = torch.zeros(len(items), len(judges), dtype=torch.bool)
    for j, judge in enumerate(judges):
        logits, groups = judge.classify(images), label_groups(judge.labels)
        for i, item in enumerate(items):
            own = groups[item.labels[0].partition("/")[0]]
            best = own[int(logits[i, own].argmax())]
            seen[i, j] = judge.labels[best] in item.labels
    return seen


def compare(named: tuple[torch.Tensor, torch.Tensor], others: tuple[Any, Any]) -> Truth:
    """The truth of readings (before, after), each (pictures, judges)."""
    counts = [(int((before & after).sum()), int(before.sum())) for before, after in (named, others)]
    return Truth(*counts[0], *counts[1])
