"""How alike prompts are to the network: by what it predicts for them, whatever their words.

Embeddings compare position by position, so a description ("a round thing with a lit fuse") is far
from the name that it stands for. Predictions at the same noisy states have no such trouble.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trace_erasure.pipeline.content_digest import network_digest, text_digest
from trace_erasure.pipeline.denoiser import EMPTY, Denoiser
from trace_erasure.pipeline.rollouts import Rollouts, collect_rollouts
from trace_erasure.pipeline.state_size import at_once, measuring_size
from trace_erasure.utils.cache import cached, key_of
from trace_erasure.utils.progress import progress

STATES = 2
STEPS = 4
VISITS = (1, 3)
"""States are taken after so many of ``STEPS`` steps: where it is decided what is drawn, and how."""
SKETCH = 1024
"""Numbers that are kept of a prediction; distances are right to about 4 %."""
BATCH = 32


def prediction_sketches(
    denoiser: Denoiser, prompts: Sequence[str], own: Sequence[str] = ()
) -> tuple[Tensor, Tensor]:
    """What the network predicts for ``prompts`` and for ``own``, each (n, visits, ``SKETCH``).

    Random projections, at fixed states, early and late, on the way from noise to a picture of
    nothing in particular, with adapters off. Those of ``prompts`` are kept on disk, by the
    prompts, the weights of network and text encoders, and the states.
    """
    with denoiser.without_adapters():
        empty = denoiser.encode([EMPTY])
        size = measuring_size(denoiser)
        bank = collect_rollouts(
            denoiser, empty, range(STATES), steps=STEPS, guidance_scale=1.0, size=size
        )
        key = key_of(
            __name__,
            text_digest(denoiser.pipe),
            network_digest(denoiser.pipe),
            repr(list(prompts)),
            bank.states.cpu().float().numpy().tobytes(),
        )

        def every() -> Tensor:
            together = at_once(bank.states.shape, BATCH)
            starts = range(0, len(prompts), together)
            bar = progress(starts, desc="what words draw")
            return torch.cat([_predict(denoiser, bank, prompts[i : i + together]) for i in bar])

        found = cached("sketches", key, (len(prompts), len(VISITS), SKETCH), every)
        return found, _predict(denoiser, bank, own) if own else found[:0]


@torch.no_grad()
def _predict(denoiser: Denoiser, bank: Rollouts, prompts: Sequence[str]) -> Tensor:
    """Count sketches (every number to a random place, with a random sign) of the predictions."""
    conditioning = denoiser.encode(prompts)
    found = torch.zeros(len(prompts), len(VISITS), SKETCH)
    generator = torch.Generator().manual_seed(0)
    for column, visit in enumerate(VISITS):
        for row in range(visit * STATES, (visit + 1) * STATES):
            states = bank.states[row].expand(len(prompts), *bank.states.shape[1:])
            timesteps = bank.timesteps[row].expand(len(prompts))
            numbers = denoiser.predict(states, timesteps, conditioning).flatten(1).float().cpu()
            place = torch.randint(SKETCH, (numbers.shape[1],), generator=generator)
            sign = torch.randint(2, (numbers.shape[1],), generator=generator) * 2.0 - 1.0
            found[:, column].index_add_(1, place, numbers * sign)
    return found
