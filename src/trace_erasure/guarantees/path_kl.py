"""The statistical part of a certificate: how far apart the two models' sampling paths are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trace_erasure.artifact.erasure import Erasure
from trace_erasure.math.path_divergence import detector_bound, path_divergence
from trace_erasure.math.statistics import Estimate, mean_estimate
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.pipeline.sampler import Schedule, fresh, schedule
from trace_erasure.utils.progress import progress

END = 0.03
"""Noise level at which certified sampling stops: at 0 the last step has no noise, and any
difference at all would count as infinite."""
VACUOUS = 0.9
"""A bound above this on a difference of probabilities is vacuous."""
CHUNK = 8


@dataclass(frozen=True)
class PathKL:
    """KL between two models' sampling paths, in nats, over the listed prompts.

    Attributes:
        comparison: which models and prompts, in words.
        prompts, paths: how many.
        total, early, late: the divergence of whole paths, of their part above τ, and of the rest.
        noise_levels: at which each step begins, noisy to clean.
        by_step: mean divergence of each step.
        detector: no detector's rate, averaged over the listed prompts, differs by more than this;
            from the upper end of the interval.
        state: the same for a detector that is given the state at τ only.
        vacuous: the bound is above ``VACUOUS``.
        lowest_informative_level: the least noise level at which a detector of the states there is
            still bounded by ``VACUOUS``; None where not even the noisiest step's is.
    """

    comparison: str
    prompts: int
    paths: int
    total: Estimate
    early: Estimate
    late: Estimate
    noise_levels: tuple[float, ...]
    by_step: tuple[float, ...]
    detector: float
    state: float
    vacuous: bool
    lowest_informative_level: float | None

    @classmethod
    def of(
        cls, comparison: str, prompts: int, terms: Tensor, plan: Schedule, level: float
    ) -> PathKL:
        """From the divergence of every step of every path, (n, steps)."""
        noisy = torch.tensor([x > level for x in plan.noise_levels])
        total, early = mean_estimate(terms.sum(1)), mean_estimate(terms[:, noisy].sum(1))
        reach = None
        ends = [*plan.noise_levels[1:], float(plan.steps[-1].there.noise_level)]
        for number, end in enumerate(ends):
            if detector_bound(mean_estimate(terms[:, : number + 1].sum(1)).high) <= VACUOUS:
                reach = end
        bound = detector_bound(total.high)
        return cls(
            comparison=comparison,
            prompts=prompts,
            paths=len(terms),
            total=total,
            early=early,
            late=mean_estimate(terms[:, ~noisy].sum(1)),
            noise_levels=plan.noise_levels,
            by_step=tuple(terms.mean(0).tolist()),
            detector=bound,
            state=detector_bound(early.high),
            vacuous=bound > VACUOUS,
            lowest_informative_level=reach,
        )


def divergence(  # noqa: PLR0913 - its options are keyword-only
    denoiser: Denoiser,
    erasure: Erasure,
    edited: Sequence[str],
    original: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int,
    guidance: float,
    gate: float | None = None,
    end: float = END,
    label: str = "paths",
) -> tuple[Tensor, Schedule]:
    """KL of the erased model on ``edited`` prompts from the original on ``original`` ones, by step.

    Path i shows prompt i modulo their number. The sampler is the ancestral one (η = 1) of the
    model's own noise schedule; for a rectified flow that is the stochastic twin of its Euler
    sampler, with the same marginals. ``erasure`` is attached to the pipeline, and is left at the
    strength that it had; with ``gate`` it acts at noise levels up to that only.

    Returns:
        (paths, steps) float64 in nats, and the schedule.
    """
    name = erasure.name
    strength = adapters.strength_of(denoiser.pipe, name)
    plan = schedule(denoiser, steps, eta=1.0, end=end)
    own, other = denoiser.encode(edited), denoiser.encode(original)
    empty = denoiser.unconditional()
    rows = []

    def model(conditioning: Conditioning, on: bool) -> Callable[[Tensor, int], Tensor]:
        def predict(states: Tensor, number: int) -> Tensor:
            acts = on and (gate is None or plan.noise_levels[number] <= gate)
            adapters.set_strength(denoiser.pipe, name, strength if acts else 0.0)
            timestep = plan.timesteps[number]
            return denoiser.predict_guided(states, timestep, conditioning, empty, guidance).output

        return predict

    try:
        for start in progress(range(0, len(seeds), CHUNK), desc=label):
            chunk = seeds[start : start + CHUNK]
            index = torch.arange(start, start + len(chunk)) % len(edited)
            generators = [torch.Generator().manual_seed(seed) for seed in chunk]
            shape = denoiser.family.state_shape(denoiser.pipe, None, None)
            like = torch.empty(len(chunk), *shape, device=denoiser.device, dtype=denoiser.dtype)
            states = fresh(like, generators)
            with torch.no_grad():
                rows.append(
                    path_divergence(
                        plan.steps,
                        model(own[index], True),
                        model(other[index], False),
                        states,
                        lambda like=like, own=generators: fresh(like, own),
                    )
                )
    finally:
        adapters.set_strength(denoiser.pipe, name, strength)
    return torch.cat(rows), plan


def sampler_name(denoiser: Denoiser) -> str:
    """The certified sampler, in words."""
    kind: Any = "stochastic twin of the Euler sampler (ancestral, same marginals)"
    if denoiser.prediction != "flow":
        kind = "ancestral sampler (DDIM with η = 1)"
    return f"{kind}, down to noise level {END}"
