"""Best of 24 (Lu et al. 2025): stochastic samplers with more and more noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from trace_erasure.attacks.context import AttackContext, Attempt
from trace_erasure.attacks.targets import AttackCase
from trace_erasure.pipeline.sampler import schedule

ETAS = (1.0, 1.17, 1.34, 1.51, 1.68, 1.85)
VARIANCES = (1.0, 1.02, 1.03, 1.04)


def best_of_noise(context: AttackContext, case: AttackCase) -> Iterator[Attempt]:
    """The case's prompt under every η and variance factor: up to 24 chances, so compare with the
    controls' 24."""
    conditioning = context.encode([case.prompt])
    for eta, variance in product(ETAS, VARIANCES):
        plan = schedule(context.denoiser, context.steps, eta=eta)
        label = f"η {eta}, variance × {variance}"
        yield Attempt(label, conditioning, schedule=plan, noise_scale=variance**0.5)
