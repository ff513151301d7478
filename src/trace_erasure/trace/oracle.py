"""Perfect steering: the teacher itself emits an objective's target at late levels.

Needs no training. It tells whether an objective and a window can work at all: no student does
better than the target that it is trained towards.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trace_erasure.math.objectives import TARGETS, Outputs
from trace_erasure.math.parameterization import guide
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import Conditioning


@dataclass(frozen=True)
class Steering:
    """Prompts of the states and of the direction, and what is aimed at.

    Attributes:
        state, concept, surrogate: one row a picture; the concept's own prompts are both.
        empty: one row.
        implied: the direction starts from the state's own prompt instead of the empty one.
        objective: one of ``math.objectives.TARGETS``.
        eta: its strength.
    """

    state: Conditioning
    concept: Conditioning
    surrogate: Conditioning
    empty: Conditioning
    objective: str
    eta: float
    implied: bool = False

    def __getitem__(self, index: Tensor) -> Steering:
        """The rows at ``index``."""
        rows = (self.state[index], self.concept[index], self.surrogate[index])
        return Steering(*rows, self.empty, self.objective, self.eta, self.implied)


@torch.no_grad()
def steered_rollout(
    denoiser: Denoiser,
    steering: Steering,
    seeds: list[int],
    noise_levels: Tensor,
    *,
    steps: int,
    guidance: float,
) -> Tensor:
    """Final states (n, …) of the sampler, steered perfectly at and below a noise level.

    Args:
        steering: one row for each seed.
        noise_levels: (n,) of each picture the level τ up to which it is steered; 0 is not at all.
        steps, guidance: of the sampler; the guidance of networks that are distilled is told them.
    """
    states = denoiser.initial_states(seeds)
    for timestep in denoiser.timesteps(steps):
        late = (denoiser.noise_levels(timestep.cpu()) <= noise_levels).nonzero()[:, 0]
        found = denoiser.predict_guided(states, timestep, steering.state, steering.empty, guidance)
        output = found.output if found.conditional is None else found.conditional
        if len(late):
            own = states[late], output[late]
            steered = _target(denoiser, *own, timestep, steering[late], guidance)
            output = output.index_copy(0, late.to(output.device), steered)
        if found.unconditional is not None:
            output = guide(found.unconditional, output, guidance)
        states = denoiser.scheduler.step(output, timestep, states, return_dict=False)[0]
    return states


def _target(
    denoiser: Denoiser,
    states: Tensor,
    own: Tensor,
    timestep: Tensor,
    steering: Steering,
    guidance: float,
) -> Tensor:
    """What the objective wants at ``states``, whose own prompts' outputs are ``own``."""
    parts = [steering.concept, steering.surrogate]
    if not steering.implied:
        parts.append(steering.empty[[0] * len(states)])
    asked = torch.cat([states] * len(parts))
    e_p, e_s, *rest = denoiser.predict(asked, timestep, Conditioning.cat(parts), guidance).chunk(
        len(parts)
    )
    outputs = Outputs(e_p, own if steering.implied else rest[0], e_s)
    return TARGETS[steering.objective](*outputs, steering.eta)
