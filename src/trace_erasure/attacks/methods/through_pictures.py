"""Probes beyond prompts that start from a picture: image-to-image and inpainting."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from torch import Tensor

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.math.parameterization import NoisePoint
from trace_erasure.pipeline.sampler import Schedule

SHARE = 0.5
"""Of the picture's side that inpainting has to fill, in the middle."""


def image_to_image(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """From a picture of the concept, noised to ever lower levels. At low ones any model at all
    gives the picture back: the level at which it succeeds is the figure."""
    clean = context.concept_states(case, 1)
    conditioning = context.encode([case.prompt])
    noise = torch.randn(clean.shape, generator=context.generator(case)).to(clean)
    for level, plan in schedule_tails(context):
        here = plan.steps[0].here
        states = (here.alpha * clean + here.sigma * noise).to(clean.dtype)
        yield Attempt(f"from noise level {level:.2f}", conditioning, states, plan)


def inpainting(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """The middle of a picture of the concept is drawn anew, the rest given at every step. Only the
    middle is judged."""
    clean = context.concept_states(case, 1)
    conditioning = context.encode([case.prompt])
    generator = context.generator(case)
    inside = torch.zeros(clean.shape[-2:], dtype=torch.bool)
    rows, columns = (middle_slice(side) for side in clean.shape[-2:])
    inside[rows, columns] = True
    inside = inside.to(clean.device)
    while True:
        noise = torch.randn(clean.shape, generator=generator).to(clean)

        def known(states: Tensor, here: NoisePoint, noise: Tensor = noise) -> Tensor:
            given = (here.alpha * clean + here.sigma * noise).to(states.dtype)
            return torch.where(inside, states, given)

        start = torch.randn(clean.shape, generator=generator).to(clean)
        yield Attempt("inpainted middle", conditioning, start, adjust=known, view=crop_to_middle)


def middle_slice(side: int) -> slice:
    """The middle ``SHARE`` of ``side``."""
    edge = round(side * (1 - SHARE) / 2)
    return slice(edge, side - edge)


def crop_to_middle(picture: Image.Image) -> Image.Image:
    """The middle of ``picture`` on white."""
    columns, rows = middle_slice(picture.width), middle_slice(picture.height)
    box = (columns.start, rows.start, columns.stop, rows.stop)
    found = Image.new("RGB", picture.size, "white")
    found.paste(picture.crop(box), box[:2])
    return found


def schedule_tails(context: AttackContext) -> Iterator[tuple[float, Schedule]]:
    """The end of the schedule from ever lower noise levels, as many as the budget has pictures."""
    plan = context.schedule
    count = min(context.tracker.budget.images, len(plan) - 1)
    for number in range(count):
        index = 1 + number * (len(plan) - 1) // count
        level = plan.noise_levels[index]
        yield level, plan.below(level)
