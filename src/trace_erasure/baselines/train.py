"""What baselines train, and the one loop that trains it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from trace_erasure.errors import NonFiniteError
from trace_erasure.math.lowrank import LowRank, from_dense
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.trace.finetune import CHECKPOINT_EVERY, restore, store

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Student:
    """A trainable change on the network.

    Attributes:
        parameters: what is trained, by name; zero in effect at first.
        delta: reads the change as it is now, to the CPU; layers that it leaves alone are left out.
    """

    parameters: dict[str, Tensor]
    delta: Callable[[], dict[str, LowRank]]


@contextmanager
def lora(
    denoiser: Denoiser,
    pattern: re.Pattern[str],
    rank: int,
    seed: int,
    *,
    name: str,
    scale: float = 1.0,
    spread: float | None = None,
) -> Iterator[Student]:
    """Within it a LoRA is on the layers that match ``pattern``; afterwards it is gone.

    Args:
        rank: of every layer's factors.
        seed: of the factor that does not start at zero.
        name: of the adapter.
        scale: alpha over rank, by which the product is multiplied.
        spread: standard deviation of that factor; None: 1 / √(inputs of the layer).
    """
    generator = torch.Generator().manual_seed(seed)
    fresh = {}
    for path, layer in denoiser.family.linears(denoiser.pipe, pattern).items():
        deviation = layer.in_features**-0.5 if spread is None else spread
        down = deviation * torch.randn(rank, layer.in_features, generator=generator)
        fresh[path] = LowRank(down, torch.zeros(layer.out_features, rank))
    adapters.attach(denoiser, fresh, name, scale)
    try:
        parameters = adapters.trainable(denoiser, name)

        def delta() -> dict[str, LowRank]:
            return {
                path: change.scale(scale)
                for path, change in adapters.change_of(denoiser, name).items()
                if bool(change.up.any())
            }

        yield Student(parameters, delta)
    finally:
        adapters.detach(denoiser, name)


@contextmanager
def dense(denoiser: Denoiser, pattern: re.Pattern[str]) -> Iterator[Student]:
    """Within it every weight of the matching layers can be trained; afterwards none has changed.

    What is trained is the difference to the weight, added to the layer's output. Adam takes the
    same steps for it as for the weight itself, and the weight stays as it is, bit for bit.
    """
    layers = denoiser.family.linears(denoiser.pipe, pattern)
    changes = {
        path: torch.zeros_like(layer.weight, dtype=torch.float32).requires_grad_(True)
        for path, layer in layers.items()
    }

    def adding(change: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        return lambda _, inputs, output: output + F.linear(inputs[0].float(), change).to(output)

    handles = [layers[path].register_forward_hook(adding(x)) for path, x in changes.items()]
    try:
        yield Student(
            {path: change for path, change in changes.items()},
            lambda: {path: from_dense(x) for path, x in changes.items() if bool(x.any())},
        )
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Course:
    """How to train.

    Attributes:
        steps, learning_rate, weight_decay: of AdamW, at a constant rate; without decay it is Adam.
        weights: of the loss terms.
        clip: largest norm of the gradient over all parameters; None: any.
    """

    steps: int
    learning_rate: float
    weights: Mapping[str, float]
    weight_decay: float = 0.0
    clip: float | None = None


def train(
    student: Student,
    losses: Callable[[int, torch.Generator], Terms],
    course: Course,
    *,
    seed: int,
    label: str,
    checkpoint: Path | None = None,
    masks: Mapping[str, Tensor] | None = None,
) -> list[float]:
    """Trains ``student``; the loss of every step that was taken here.

    Args:
        losses: (step, generator) to the terms of the loss; the generator is the step's own, so
            that a resumed run ends where an uninterrupted one does.
        seed: of the steps' generators.
        label: of the progress bar.
        checkpoint: file that keeps the state, and from which training resumes.
        masks: by parameter, what its gradient is multiplied by.

    Raises:
        NonFiniteError: a loss term or a gradient stopped being finite; names the step, and the
            term or the module.
    """
    names, parameters = list(student.parameters), list(student.parameters.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=course.learning_rate, weight_decay=course.weight_decay
    )
    first = restore(checkpoint, student.parameters, optimizer) if checkpoint else 0
    history: list[float] = []
    bar = tqdm(range(first, course.steps), label, leave=False, disable=None)
    for step in bar:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        terms = losses(step, generator)
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise NonFiniteError(f"loss term {name!r} is {value.item()} at step {step}.")
        loss = torch.stack([course.weights[name] * value for name, value in terms.items()]).sum()
        # A layer that a term does not reach, such as the last values for a loss on attention,
        # has a gradient of zero.
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
            if not gradient.isfinite().all():
                raise NonFiniteError(f"gradient of {name} is not finite at step {step}.")
            parameter.grad = gradient if masks is None else gradient * masks[name]
        if course.clip is not None:
            torch.nn.utils.clip_grad_norm_(parameters, course.clip)
        optimizer.step()
        if checkpoint and (step + 1) % CHECKPOINT_EVERY == 0:
            store(checkpoint, student.parameters, optimizer, step + 1)
        history.append(loss.item())
        bar.set_postfix(loss=f"{history[-1]:.3g}")
    return history
