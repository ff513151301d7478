"""Stage 2: a LoRA that steers late states away from the concept and holds everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trace_erasure.config import Finetune
from trace_erasure.errors import NonFiniteError
from trace_erasure.math.lowrank import LowRank
from trace_erasure.math.objectives import OBJECTIVES, mean_square
from trace_erasure.pipeline import adapters
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning
from trace_erasure.trace.adversary import regenerate
from trace_erasure.trace.finetune_data import Lesson
from trace_erasure.utils.atomic import atomic

ADAPTER = "trace_steer"
CHECKPOINT_EVERY = 10
WARMUP = 10

Undone = Callable[[], AbstractContextManager[Any]]
"""Makes a context within which stage 1 has no effect."""


@dataclass(frozen=True)
class StepRecord:
    """One training step: the loss, its terms before weighting, and the gradient's norm."""

    step: int
    loss: float
    terms: dict[str, float]
    grad_norm: float


def draw(index: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` entries of ``index``, with replacement."""
    return index[torch.randint(len(index), (count,), generator=generator)]


def losses(
    denoiser: Denoiser,
    lesson: Lesson,
    settings: Finetune,
    generator: torch.Generator,
    undone: Undone | None = None,
) -> dict[str, Tensor]:
    """The terms of the loss on one random batch, unweighted; absent windows give no term.

    With ``undone`` the late states are an adversary's: stage 1 has no effect on them, and their
    prompts are perturbed so that they bring the concept back (``trace.adversary``). Where stage 1
    has its effect, every state is held as the early ones are.
    """
    bank, retain = lesson.bank, lesson.retain_bank
    late = draw(lesson.late, settings.batch, generator) if len(lesson.late) else lesson.late
    held = lesson.early if undone is None else torch.arange(len(bank))
    early = draw(held, settings.batch // 2, generator) if len(held) else held
    void = draw(torch.arange(len(bank)), max(1, settings.batch // 2), generator)
    kept = draw(torch.arange(len(retain)), 2 * settings.batch, generator)
    steered = torch.cat([late, early])
    states = torch.cat([bank.states[steered], bank.states[void], retain.states[kept]])
    times = torch.cat([bank.timesteps[steered], bank.timesteps[void], retain.timesteps[kept]])
    single = len(lesson.concept) == 1
    conditioning = Conditioning.cat(
        [
            lesson.concept[torch.zeros_like(steered) if single else bank.prompt[steered]],
            lesson.empty[torch.zeros_like(void)],
            lesson.retained[retain.prompt[kept]],
        ]
    )
    n = 0 if undone is None else len(late)
    output = denoiser.predict(states[n:], times[n:], conditioning[n:]).float()
    if undone is not None and n:
        mine = states[:n], times[:n]
        with undone():
            attacked = regenerate(denoiser, *mine, conditioning[:n], lesson.e_p[late])
            output = torch.cat([denoiser.predict(*mine, attacked).float(), output])
    e_late, e_early, e_void, e_kept = output.split([len(late), len(early), len(void), len(kept)])
    objective = OBJECTIVES[settings.objective]
    terms = {
        "empty": mean_square(e_void - lesson.e_0[void]).mean(),
        "retain": mean_square(e_kept - lesson.e_r[kept]).mean(),
    }
    if len(late):
        goal = (lesson.e_p[late], lesson.e_0[late], lesson.e_s[late])
        terms["late"] = objective(e_late, *goal, settings.eta).mean()
    if len(early):
        terms["early"] = mean_square(e_early - lesson.e_ref[early]).mean()
    return terms


def steer(
    denoiser: Denoiser,
    lesson: Lesson,
    settings: Finetune,
    seed: int,
    checkpoint: Path | None = None,
    undone: Undone | None = None,
) -> Iterator[StepRecord]:
    """Trains the adapter ``ADAPTER``, one record a step; resumes from ``checkpoint``.

    With ``undone`` it learns from an adversary (see ``losses``), and trains layers that see the
    prompt through the text-facing maps only. They cannot tell an embedding that makes the edited
    maps say what the original ones said of the concept from stage 1 undone, which they train on.

    The batch of a step depends on the seed and the step alone, so a resumed run ends where an
    uninterrupted one does. Read the result with ``trained(denoiser)``.

    Raises:
        NonFiniteError: a loss or gradient stopped being finite; names the step and the term.
    """
    generator = torch.Generator().manual_seed(seed)
    layers = None if undone is None else denoiser.family.behind_text(denoiser.pipe)
    parameters = adapters.attach_untrained(denoiser, ADAPTER, settings.rank, generator, layers)
    optimizer = torch.optim.AdamW(parameters.values(), lr=settings.learning_rate, weight_decay=0.0)
    first = restore(checkpoint, parameters, optimizer) if checkpoint else 0
    weights = {name: getattr(settings, name) for name in ("late", "early", "empty", "retain")}
    for step in range(first, settings.steps):
        remaining = 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (step + 1) / WARMUP) * remaining
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        terms = losses(denoiser, lesson, settings, generator, undone)
        for name, value in terms.items():
            if not torch.isfinite(value):
                raise NonFiniteError(f"loss term {name!r} is {value.item()} at step {step}.")
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        if not torch.isfinite(norm):
            bad = [
                n
                for n, p in parameters.items()
                if p.grad is not None and not p.grad.isfinite().all()
            ]
            raise NonFiniteError(f"gradient of {bad[0]} is not finite at step {step}.")
        optimizer.step()
        if checkpoint and (step + 1) % CHECKPOINT_EVERY == 0:
            store(checkpoint, parameters, optimizer, step + 1)
        values = {name: float(value.detach()) for name, value in terms.items()}
        yield StepRecord(step, loss.item(), values, norm.item())


def trained(denoiser: Denoiser) -> dict[str, LowRank]:
    """The trained change on the CPU, module by module; removes the adapter from the network."""
    delta = adapters.change_of(denoiser, ADAPTER)
    adapters.detach(denoiser, ADAPTER)
    return delta


def store(
    file: Path, parameters: dict[str, Tensor], optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Writes a checkpoint: every parameter with the optimiser's state, and the next step."""
    tensors = {"step": torch.tensor(step)}
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        tensors[f"{name}|value"] = parameter.detach()
        tensors[f"{name}|mean"], tensors[f"{name}|square"] = state["exp_avg"], state["exp_avg_sq"]
    with atomic(file) as partial:
        save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, partial)


def restore(file: Path, parameters: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> int:
    """Reads what ``store`` wrote, if there is any; the step to go on with."""
    if not file.exists():
        return 0
    tensors = load_file(file)
    step = int(tensors["step"])
    for name, parameter in parameters.items():
        with torch.no_grad():
            parameter.copy_(tensors[f"{name}|value"])
        optimizer.state[parameter] = {
            "step": torch.tensor(float(step)),
            "exp_avg": tensors[f"{name}|mean"].to(parameter),
            "exp_avg_sq": tensors[f"{name}|square"].to(parameter),
        }
    return step
