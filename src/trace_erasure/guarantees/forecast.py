"""Collateral before a single picture: what an erasure will do to every other name.

Two figures for each name. The *text* one is exact: how far the text-facing maps' output for it
moves, ‖ΔW E‖ / ‖W E‖ over all positions. The *network* one asks the network itself, in a few passes
at high noise levels where pictures are decided: the guided output's change on pure states of noise,
relative to what the concept's own output goes through. It orders names better, because the network
does not listen to all directions alike; it is a forecast, and not a bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trace_erasure.concepts import candidates
from trace_erasure.concepts.alignment import concept_columns
from trace_erasure.concepts.captions import captions_for
from trace_erasure.concepts.concept import Concept, ResolvedConcept, fill_template
from trace_erasure.concepts.second_moment import second_moment
from trace_erasure.config import ClosedFormConfig, EraseConfig
from trace_erasure.errors import InputError, shown
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import subspaces
from trace_erasure.math.cost_frontier import Frontier, frontier
from trace_erasure.math.lowrank import Delta
from trace_erasure.math.parameterization import guide
from trace_erasure.pipeline import adapters, conditions
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.pipeline.state_size import at_once, measuring_size
from trace_erasure.trace.closed_form import closed_form_edit
from trace_erasure.trace.request import resolve
from trace_erasure.utils.arguments import check_kind, check_texts
from trace_erasure.utils.progress import progress
from trace_erasure.utils.words import mentions

ADAPTER = "trace_forecast"
LEVELS = (0.9, 0.8, 0.7)
"""Noise levels of the network passes: above them all prompts look alike, below them it is late."""
SEEDS = (0, 1)
GUIDANCE = 3.5
AFFECTED = 0.25
"""A name that changes by more than this share of the concept's own change is warned of."""
ENTANGLED = 0.1
"""Ordinary prompts that must move by this share of what the concept itself goes through."""
SURROGATES = 4
CHUNK = 64


@dataclass(frozen=True)
class NameForecast:
    """What is expected of one name.

    Attributes:
        name, prompt: as put into the frame of its kind.
        text: ‖ΔW E‖ / ‖W E‖ over all positions, the worst stream; exact.
        network: change of the network's output relative to the concept's own.
        affected: ``network`` is above ``AFFECTED``.
    """

    name: str
    prompt: str
    text: float
    network: float
    affected: bool


def text_change(denoiser: Denoiser, delta: Delta, prompts: Sequence[str]) -> Tensor:
    """‖ΔW E‖ / ‖W E‖ of each prompt over all its positions, (n,) float64; the worst stream."""
    worst = torch.zeros(len(prompts), dtype=torch.float64)
    for stream in denoiser.family.streams:
        parts = torch.cat(denoiser.embeddings(prompts, stream.name), dim=1)
        width = parts.shape[-1]
        before = subspaces.gram(denoiser.weights(stream.name, width).values())
        change = torch.zeros_like(before)
        for path in denoiser.maps(stream.name):
            if path in delta:
                factors = delta[path].to("cpu", torch.float64)
                down = factors.down[:, :width]
                change += down.mT @ (factors.up.mT @ factors.up) @ down
        moved, whole = (((parts @ g) * parts).sum((1, 2)).clamp(min=0) for g in (change, before))
        worst = torch.maximum(worst, (moved / whole).sqrt())
    return worst


@torch.no_grad()
def network_change(
    pipe: Any, delta: Delta, prompts: Sequence[str], guidance: float = GUIDANCE
) -> Tensor:
    """Root mean square change of the guided output for each prompt, (n,) float64.

    States are pure noise at ``LEVELS``, the same for every prompt; ``delta`` is attached for the
    while, and taken off again.
    """
    denoiser = Denoiser(pipe)
    conditioning, empty = denoiser.encode(prompts), denoiser.unconditional()
    noise = denoiser.initial_states(SEEDS, *(measuring_size(denoiser) or ()))
    together = at_once(noise.shape, CHUNK)
    timesteps = _timesteps(denoiser)
    guided = denoiser.needs_unconditional(guidance)

    def outputs(label: str) -> Tensor:
        rows = []
        for timestep in progress(timesteps, desc=label):
            sigma = denoiser.noise_point(timestep).sigma
            for state in noise:
                x = (sigma * state)[None].to(noise.dtype)
                base = denoiser.predict(x, timestep, empty, guidance) if guided else None
                for start in range(0, len(prompts), together):
                    chunk = conditioning[start : start + together]
                    many = x.expand(len(chunk), *state.shape).contiguous()
                    output = denoiser.predict(many, timestep, chunk, guidance)
                    if base is not None:
                        output = guide(base.expand_as(output), output, guidance)
                    rows.append(output)
        return torch.cat(rows).unflatten(0, (-1, len(prompts))).double().cpu()

    before = outputs("forecast: original")
    adapters.attach(pipe, delta, ADAPTER)
    try:
        after = outputs("forecast: erased")
    finally:
        adapters.detach(pipe, ADAPTER)
    return (after - before).square().flatten(2).mean((0, 2)).sqrt()


def _timesteps(denoiser: Denoiser) -> Tensor:
    """The timesteps of a fine schedule that are nearest to ``LEVELS``."""
    fine = denoiser.timesteps(50).cpu()
    levels = denoiser.noise_levels(fine)
    return torch.stack([fine[(levels - level).abs().argmin()] for level in LEVELS])


def name_forecasts(
    pipe: Any,
    delta: Delta,
    concept: Concept,
    names: Sequence[str],
    guidance: float = GUIDANCE,
) -> list[NameForecast]:
    """What ``delta``, which erases ``concept``, will do to each of ``names``; worst first."""
    frame = candidates.PROBE_TEMPLATES[concept.kind]
    others = [n for n in dict.fromkeys(names) if not mentions(n, concept.phrases)]
    prompts = [fill_template(frame, name) for name in (concept.phrase, *others)]
    text = text_change(Denoiser(pipe), delta, prompts)
    network = network_change(pipe, delta, prompts, guidance)
    share = network / network[0].clamp(min=1e-300)
    rows = [
        NameForecast(name, prompt, float(a), float(b), float(b) > AFFECTED)
        for name, prompt, a, b in zip(others, prompts[1:], text[1:], share[1:], strict=True)
    ]
    return sorted(rows, key=lambda row: -row.network)


@dataclass(frozen=True)
class PlanForecast:
    """A change of the plan, and the text figures that it would have.

    Attributes:
        surrogate, retain: of the plan.
        worst, mean: of ``text`` over the names.
        residual: of stage 1 on the listed prompts.
    """

    surrogate: str
    retain: tuple[str, ...]
    worst: float
    mean: float
    residual: float


@dataclass(frozen=True)
class Forecast:
    """Everything that can be said before an erasure is made.

    Attributes:
        concept: with its surrogate.
        names: worst first.
        planned: the plan as it stands.
        better: alternatives with less collateral on average, best first.
        curve: (residual, least collateral that any edit of the text-facing maps must cost there),
            as a share of what the concept itself goes through.
        entangled: no edit reaches a residual of 0.3 for less than ``ENTANGLED``.
    """

    concept: Concept
    names: tuple[NameForecast, ...]
    planned: PlanForecast
    better: tuple[PlanForecast, ...]
    curve: tuple[tuple[float, float], ...]
    entangled: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it: a residual that no edit reaches costs None."""
        curve = [(at, None if math.isinf(cost) else cost) for at, cost in self.curve]
        return {**asdict(self), "curve": curve, "warnings": list(self.warnings)}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for those who decide."""
        found = []
        hurt = [row.name for row in self.names if row.affected]
        named = [name for name in self.concept.retain if name in hurt]
        if named:
            found.append(f"to be retained, and will change all the same: {', '.join(named)}")
        if hurt:
            found.append(f"will change: {', '.join(hurt[:10])}")
        if self.entangled:
            found.append(
                f"{self.concept.phrase!r} is entangled with ordinary language: every edit of the "
                "text-facing maps that removes it must cost"
            )
        return tuple(found)


def forecast(
    pipe: Any,
    concept: Concept,
    names: Sequence[str] | None = None,
    settings: ClosedFormConfig = ClosedFormConfig(),
    captions: Sequence[str] | None = None,
) -> Forecast:
    """Solves stage 1 for ``concept`` and predicts, without a picture, how other names change.

    Args:
        pipe: a diffusers pipeline; it stays as it is.
        names: the vocabulary to compare; default: the names that the captions mention.
        captions: ordinary language; default: the package's.

    Raises:
        InputError: ``names`` has an empty one, or none but the concept's own.

    Example:
        >>> from trace_erasure import Concept, forecast
        >>> from trace_erasure.testing import CAPTIONS, tiny_stable_diffusion
        >>> fox = Concept("fox", surrogate="dog")
        >>> found = forecast(tiny_stable_diffusion(), fox, ["cat", "horse"], captions=CAPTIONS)
        >>> sorted(row.name for row in found.names)
        ['cat', 'horse']
    """
    check_kind("concept", concept, Concept)
    check_kind("settings", settings, ClosedFormConfig)
    names = check_texts("names", names, optional=True)
    if names is not None and (
        not all(name.strip() for name in names)
        or all(mentions(name, concept.phrases) for name in names)
    ):
        raise InputError(
            f"names is {shown(list(names))}; allowed: names other than {concept.phrase!r}, none of "
            "them empty. Add one, or leave names out for those of the captions."
        )
    conditions.check(pipe, conditions.ATTACH, conditions.MEASURE, conditions.PREDICT)
    denoiser = Denoiser(pipe)
    spec = EraseConfig((concept,), closed_form=settings, finetune=None)
    planned = resolve(denoiser, spec, captions)
    resolved, settings = planned.concepts[0], planned.spec.closed_form or settings
    kind = resolved.kind
    if names is None:
        names = list(candidates.caption_names(captions_for(denoiser, captions), kind))
    others = [name for name in dict.fromkeys(names) if not mentions(name, resolved.phrases)]
    prompts = [fill_template(candidates.PROBE_TEMPLATES[kind], name) for name in others]

    def look(one: ResolvedConcept, retain: Sequence[str]) -> tuple[PlanForecast, Delta]:
        result = closed_form_edit(denoiser, [one], retain, settings, captions)
        change = text_change(denoiser, result.delta, prompts)
        figures = (float(change.max()), float(change.mean()), result.certificate.residual_listed)
        return PlanForecast(one.surrogate, one.retain, *figures), result.delta

    present, delta = look(resolved, planned.retain)
    rows = name_forecasts(pipe, delta, resolved, others)
    tried = []
    hurt = tuple(row.name for row in rows[:6] if row.name != resolved.surrogate)
    more = tuple(dict.fromkeys((*resolved.retain, *hurt)))
    frames = [fill_template(candidates.PROBE_TEMPLATES[kind], name) for name in hurt]
    held = tuple(dict.fromkeys((*frames, *planned.retain)))
    tried.append(look(replace(resolved, retain=more), held)[0])
    near = candidates.rank_by_embedding(denoiser, resolved.phrase, kind, others)
    distant = [
        word
        for word, distance in zip(near.words, near.distances, strict=True)
        if distance >= candidates.MIN_EMBEDDING_DISTANCE and word != resolved.surrogate
    ]
    for word in distant[:SURROGATES]:
        frame = fill_template(candidates.PROBE_TEMPLATES[kind], word)
        retain = [prompt for prompt in planned.retain if prompt != frame]
        tried.append(look(replace(resolved, surrogate=word), retain)[0])
    better = sorted((one for one in tried if one.mean < present.mean), key=lambda one: one.mean)
    limit = limits(denoiser, resolved, settings, captions)
    costs = limit.curve((0.7, 0.5, 0.3, 0.1, 0.03))
    curve = tuple((r, cost / limit.concept_cost) for r, cost in costs)
    return Forecast(
        resolved, tuple(rows), present, tuple(better), curve, dict(curve)[0.3] > ENTANGLED
    )


def limits(
    denoiser: Denoiser,
    concept: ResolvedConcept,
    settings: ClosedFormConfig = ClosedFormConfig(),
    captions: Sequence[str] | None = None,
) -> Frontier:
    """The erasure–collateral frontier of ``concept``, which names its surrogate, on the tokens."""
    sigma = algebra.regularised(second_moment(denoiser, captions, TOKENS), settings.ridge)
    maps_gram = subspaces.gram(denoiser.weights(TOKENS, len(sigma)).values())
    columns = concept_columns(denoiser, concept.wordings(), concept.surrogate)
    moved = columns.select(columns.moved)
    return frontier(moved.concept, moved.surrogate, sigma, maps_gram, moved.weights)
