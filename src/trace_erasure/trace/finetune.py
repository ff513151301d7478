"""Stage 2: a LoRA that moves late states away from the concept and holds everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trace_erasure.config import FinetuneConfig
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.objectives import OBJECTIVES, mean_square
from trace_erasure.pipeline import adapter_layers, adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.trace.adversary import regenerate
from trace_erasure.trace.finetune_data import FinetuneData
from trace_erasure.trace.training import OnStep, Terms, TrainingConfig, draw_indices, train

ADAPTER = "trace_finetune"
WARMUP = 10
"""Steps over which the learning rate rises to its peak."""
MAX_GRAD_NORM = 1.0
RELATIVE_RATE = 0.12
"""Of a training whose learning rate is left open; see ``learning_rate_for``."""

SwitchOff = Callable[[], AbstractContextManager[Any]]
"""Makes a context within which the closed-form edit has no effect."""


@dataclass(frozen=True)
class FinetuneResult:
    """A trained LoRA.

    Attributes:
        delta: the change of every trained layer by module path, on the CPU.
        losses: of every step.
    """

    delta: dict[str, LowRank]
    losses: list[float]


def finetune_adapter(
    denoiser: Denoiser,
    data: FinetuneData,
    settings: FinetuneConfig,
    seed: int,
    *,
    label: str = "finetune",
    checkpoint: Path | None = None,
    switch_off: SwitchOff | None = None,
    on_step: OnStep | None = None,
) -> FinetuneResult:
    """Trains a LoRA on ``data``; the network has no adapter of this name afterwards.

    While it trains, the LoRA is on the network as the adapter ``ADAPTER``.

    Args:
        label: title of the progress bar.
        checkpoint: file that keeps the state of the training, and from which it resumes.
        switch_off: trains against an adversary, see ``loss_terms``. The LoRA is then on the layers
            that read the prompt through the text-facing maps only. These layers cannot tell an
            adversarial embedding, whose edited keys and values are the concept's original ones,
            from the concept's prompt without the closed-form edit, which they are trained on.
        on_step: called after every step.

    Raises:
        NonFiniteError: a loss or gradient is not finite; names the step and the term.
        InputError: the checkpoint is damaged or belongs to another training.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = trained_layers(denoiser, settings.layers)
    if switch_off is not None:
        layers = denoiser.family.behind_text(denoiser.pipe)
    parameters = adapters.attach_untrained(denoiser, ADAPTER, settings.rank, generator, layers)
    config = TrainingConfig(
        settings.steps,
        settings.learning_rate or learning_rate_for(layers),
        {name: getattr(settings, name) for name in ("late", "early", "empty", "retain")},
        max_grad_norm=MAX_GRAD_NORM,
        warmup=WARMUP,
    )
    try:
        losses = train(
            parameters,
            lambda _, generator: loss_terms(denoiser, data, settings, generator, switch_off),
            config,
            seed=seed,
            label=label,
            checkpoint=checkpoint,
            on_step=on_step,
        )
        return FinetuneResult(adapter_layers.change_of(denoiser, ADAPTER), losses)
    finally:
        adapters.remove(denoiser, ADAPTER)


def trained_layers(denoiser: Denoiser, which: str) -> dict[str, nn.Linear]:
    """The layers that ``FinetuneConfig.layers`` names, by module path."""
    family = denoiser.family
    patterns = {
        "text": family.adapters,
        "cross": family.attention.text,
        "blocks": family.attention.all,
    }
    return family.linears(denoiser.pipe, patterns[which])


def learning_rate_for(layers: Mapping[str, nn.Linear]) -> float:
    """``RELATIVE_RATE`` in units of the layers' weights, shared among them.

    A step of Adam moves every number by the learning rate, whatever the gradient's size. What it
    moves of the network's output is in proportion to the number of layers, and small or large
    beside the length of a layer's rows: with the same rate a few wide layers learn slowly, and
    many narrow ones overshoot.
    """
    lengths = [layer.weight.detach().float().norm(dim=1).mean() for layer in layers.values()]
    return RELATIVE_RATE * float(torch.stack(lengths).mean()) / len(layers)


def loss_terms(
    denoiser: Denoiser,
    data: FinetuneData,
    settings: FinetuneConfig,
    generator: torch.Generator,
    switch_off: SwitchOff | None = None,
) -> Terms:
    """The terms of the loss on one random batch, unweighted; an empty window has no term.

    With ``switch_off`` the late states are an adversary's: the closed-form edit has no effect on
    them, and their prompts are perturbed so that they regenerate the concept
    (``trace.adversary``). Where the edit has its effect, every state is held as early ones are.
    """
    batch = _draw_batch(data, settings.batch, generator, hold_all=switch_off is not None)
    states, times, conditioning = _inputs(data, batch)
    n = 0 if switch_off is None else len(batch.late)
    told = settings.guidance_scale
    output = denoiser.predict(states[n:], times[n:], conditioning[n:], told).float()
    if switch_off is not None and n:
        late = states[:n], times[:n]
        with switch_off():
            goal = data.e_x[batch.late]
            attacked = regenerate(denoiser, *late, conditioning[:n], goal, guidance=told)
            output = torch.cat([denoiser.predict(*late, attacked, told).float(), output])
    e_late, e_early, e_empty, e_retain = output.split([len(part) for part in batch.parts])
    terms = {
        "empty": mean_square(e_empty - data.e_0[batch.empty]).mean(),
        "retain": mean_square(e_retain - data.e_r[batch.retain]).mean(),
    }
    if len(batch.late):
        objective = OBJECTIVES[settings.objective_name]
        terms["late"] = objective(e_late, *data.outputs(batch.late), settings.strength).mean()
    if len(batch.early):
        terms["early"] = mean_square(e_early - data.e_ref[batch.early]).mean()
    return terms


@dataclass(frozen=True)
class _Batch:
    """Indices of one batch: ``retain`` into the retained states, the others into the concept's."""

    late: Tensor
    early: Tensor
    empty: Tensor
    retain: Tensor

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.late, self.early, self.empty, self.retain


def _draw_batch(
    data: FinetuneData, size: int, generator: torch.Generator, hold_all: bool
) -> _Batch:
    """``size`` late states, half as many early and empty ones, twice as many retained ones.

    With ``hold_all`` states of every noise level count as early.
    """
    everything = torch.arange(len(data.concept_rollouts))
    held = everything if hold_all else data.early
    return _Batch(
        late=draw_indices(data.late, size, generator),
        early=draw_indices(held, size // 2, generator),
        empty=draw_indices(everything, max(1, size // 2), generator),
        retain=draw_indices(torch.arange(len(data.retain_rollouts)), 2 * size, generator),
    )


def _inputs(data: FinetuneData, batch: _Batch) -> tuple[Tensor, Tensor, Conditioning]:
    """States, timesteps and embeddings of a batch, in the order of its parts."""
    own, retain = data.concept_rollouts, data.retain_rollouts
    concept = torch.cat([batch.late, batch.early])
    index = torch.cat([concept, batch.empty])
    prompt = torch.zeros_like(concept) if len(data.concept) == 1 else own.prompt[concept]
    conditioning = Conditioning.cat(
        [
            data.concept[prompt],
            data.empty[torch.zeros_like(batch.empty)],
            data.retained[retain.prompt[batch.retain]],
        ]
    )
    return (
        torch.cat([own.states[index], retain.states[batch.retain]]),
        torch.cat([own.timesteps[index], retain.timesteps[batch.retain]]),
        conditioning,
    )
