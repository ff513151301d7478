"""Checkpoints of a training: parameters, optimizer state and losses in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trace_erasure.errors import InputError
from trace_erasure.utils.atomic import atomic

STEP, LOSSES = "step", "losses"


def save_checkpoint(
    file: Path,
    parameters: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    losses: Sequence[float],
) -> None:
    """Writes every parameter with its AdamW moments, and the loss of every step so far."""
    tensors = {
        STEP: torch.tensor(len(losses)),
        LOSSES: torch.tensor(losses, dtype=torch.float64),
    }
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        value, mean, square = _keys(name)
        tensors[value] = parameter.detach()
        tensors[mean], tensors[square] = state["exp_avg"], state["exp_avg_sq"]
    with atomic(file) as partial:
        save_file({key: value.cpu().contiguous() for key, value in tensors.items()}, partial)


def load_checkpoint(
    file: Path, parameters: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, steps: int
) -> list[float]:
    """Restores what ``save_checkpoint`` wrote; returns the losses so far, one a step.

    An absent file is the start of a training: nothing is restored and no loss is returned.

    Args:
        steps: length of the whole training.

    Raises:
        InputError: the file is damaged, is not finite, or belongs to another training. Nothing is
            restored then.
    """
    if not file.exists():
        return []
    tensors = _read(file)
    reason = _mismatch(tensors, parameters, steps)
    if reason:
        raise _unusable(file, reason)
    step = int(tensors[STEP])
    for name, parameter in parameters.items():
        value, mean, square = (tensors[key] for key in _keys(name))
        with torch.no_grad():
            parameter.copy_(value)
        optimizer.state[parameter] = {
            "step": torch.tensor(float(step)),
            "exp_avg": mean.to(parameter),
            "exp_avg_sq": square.to(parameter),
        }
    return tensors[LOSSES].tolist()


def _keys(name: str) -> tuple[str, str, str]:
    """Keys of a parameter's value and of its first and second moment."""
    return f"{name}|value", f"{name}|mean", f"{name}|square"


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise _unusable(file, f"it cannot be read: {error}") from error


def _mismatch(
    tensors: Mapping[str, Tensor], parameters: Mapping[str, Tensor], steps: int
) -> str | None:
    """Why ``tensors`` cannot continue the training of ``parameters``; None where they can."""
    keys = {key: parameters[name].shape for name in parameters for key in _keys(name)}
    wrong = {STEP, LOSSES, *keys} ^ {*tensors}
    if wrong:
        return f"{min(wrong)!r} is missing or unexpected"
    step = tensors[STEP]
    if step.numel() != 1 or not 1 <= int(step) <= steps:
        return f"step {step.tolist()} is not within the {steps} steps of this training"
    if tensors[LOSSES].shape != (int(step),):
        return f"it has {tensors[LOSSES].numel()} losses for {int(step)} steps"
    for key, shape in keys.items():
        if tensors[key].shape != shape:
            return f"{key!r} has shape {tuple(tensors[key].shape)} instead of {tuple(shape)}"
    for key, value in tensors.items():
        if not value.isfinite().all():
            return f"{key!r} is not finite"
    return None


def _unusable(file: Path, reason: str) -> InputError:
    return InputError(
        f"cannot resume from the checkpoint {file}: {reason}. Delete the file to train from the "
        "start."
    )
