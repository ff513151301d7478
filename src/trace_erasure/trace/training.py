"""The training loop of every finetune, TRACE's and the baselines': AdamW on weighted loss terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trace_erasure.errors import NonFiniteError
from trace_erasure.trace.checkpoint import load_checkpoint, save_checkpoint
from trace_erasure.utils.progress import progress

CHECKPOINT_EVERY = 10
"""Steps between two checkpoints. The last step always writes one."""

Terms = dict[str, Tensor]
"""The scalar terms of a loss by name, before they are weighted."""


@dataclass(frozen=True)
class StepRecord:
    """One training step.

    Attributes:
        step: counts from 0.
        loss: the weighted sum of the terms.
        terms: each term before it is weighted.
        grad_norm: L2 norm of the gradient over all parameters, before clipping.
    """

    step: int
    loss: float
    terms: dict[str, float]
    grad_norm: float


OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True)
class TrainingConfig:
    """How to train.

    Attributes:
        steps: number of optimizer steps.
        learning_rate: of AdamW; the peak where there is a schedule.
        loss_weights: factor on each loss term.
        weight_decay: of AdamW; without it AdamW is Adam.
        max_grad_norm: the gradient is scaled down to this L2 norm; None does not clip.
        warmup: steps of linear warmup, after which the rate decays by a cosine to 0 at ``steps``;
            None keeps the rate constant.
    """

    steps: int
    learning_rate: float
    loss_weights: Mapping[str, float]
    weight_decay: float = 0.0
    max_grad_norm: float | None = None
    warmup: int | None = None

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of one step."""
        if self.warmup is None:
            return self.learning_rate
        decay = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1.0, (step + 1) / self.warmup) * decay


def train(
    parameters: Mapping[str, Tensor],
    loss_terms: Callable[[int, torch.Generator], Terms],
    config: TrainingConfig,
    *,
    seed: int,
    label: str,
    checkpoint: Path | None = None,
    gradient_masks: Mapping[str, Tensor] | None = None,
    on_step: OnStep | None = None,
) -> list[float]:
    """Trains ``parameters`` in place and returns the loss of every step.

    A run that resumes from a checkpoint ends in the same parameters and returns the same losses
    as one that was never interrupted.

    Args:
        parameters: what is trained, by name.
        loss_terms: maps a step and its random generator to the terms of the loss. The generator
            depends on the seed and the step alone.
        label: title of the progress bar.
        checkpoint: file that keeps the state of the training; the caller deletes it.
        gradient_masks: for each parameter a factor on its gradient, of the same shape.
        on_step: called after every step, once its checkpoint is written.

    Raises:
        NonFiniteError: a loss term or a gradient is not finite; names the step, and the term or
            the parameter.
        InputError: the checkpoint is damaged or belongs to another training.
    """
    values = list(parameters.values())
    optimizer = torch.optim.AdamW(values, lr=config.learning_rate, weight_decay=config.weight_decay)
    losses = load_checkpoint(checkpoint, parameters, optimizer, config.steps) if checkpoint else []
    first = len(losses)
    steps = range(first, config.steps)
    bar = progress(steps, desc=label, total=config.steps, initial=first)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate_at(step)
        terms = loss_terms(step, torch.Generator().manual_seed(seed * 1_000_003 + step))
        loss = _weighted_sum(terms, config.loss_weights, step)
        _set_gradients(loss, parameters, gradient_masks)
        norm = _clip_gradients(parameters, config.max_grad_norm, step)
        optimizer.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.3g}")
        if checkpoint and ((step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == config.steps):
            save_checkpoint(checkpoint, parameters, optimizer, losses)
        if on_step is not None:
            scalars = {name: float(value.detach()) for name, value in terms.items()}
            on_step(StepRecord(step, losses[-1], scalars, norm.item()))
    return losses


def draw_indices(index: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` entries of ``index`` (n,), drawn with replacement; none of an empty one."""
    if not len(index):
        return index
    return index[torch.randint(len(index), (count,), generator=generator)]


def _weighted_sum(terms: Terms, weights: Mapping[str, float], step: int) -> Tensor:
    for name, value in terms.items():
        if not torch.isfinite(value):
            raise NonFiniteError(f"loss term {name!r} is {value.item()} at step {step}.")
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()


def _set_gradients(
    loss: Tensor, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None
) -> None:
    # A layer that no term reaches, such as the last values for a loss on attention, has a
    # gradient of zero.
    gradients = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
    for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
        parameter.grad = gradient if masks is None else gradient * masks[name]


def _clip_gradients(parameters: Mapping[str, Tensor], max_norm: float | None, step: int) -> Tensor:
    """The L2 norm of all gradients together, before they are scaled down to ``max_norm``."""
    gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    norm = torch.nn.utils.get_total_norm(list(gradients.values()))
    if not torch.isfinite(norm):
        bad = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
        where = bad[0] if bad else "all parameters together"
        raise NonFiniteError(f"gradient of {where} is not finite at step {step}.")
    if max_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(list(parameters.values()), max_norm, norm)
    return norm
