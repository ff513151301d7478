"""Where a state shows the concept: the places that its prompt explains better."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trace_erasure.math.objectives import Outputs, displaced
from trace_erasure.pipeline.rollouts import Rollouts
from trace_erasure.trace.evidence import regions


class Direct:
    """A denoiser whose outputs are the clean latents themselves."""

    def noise_point(self, timesteps):
        point = SimpleNamespace(split=lambda states, output: (output, None))
        return SimpleNamespace(expand=lambda states: point)


def where(clean, e_p, e_0):
    n = len(clean)
    index = torch.arange(n)
    rollouts = Rollouts(torch.zeros_like(clean), index, torch.zeros(n), index, index)
    denoiser: Any = Direct()
    return regions(denoiser, rollouts, clean, e_p, e_0)


@pytest.mark.parametrize("shape", [(2, 4, 12, 12), (2, 40, 8)], ids=["pictures", "tokens"])
def test_only_places_that_the_concepts_prompt_explains_are_steered(shape):
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(shape, generator=generator)
    noise = torch.randn(shape, generator=generator)
    e_p, e_0 = clean + noise, clean + noise
    half = shape[-1] // 2 if len(shape) == 4 else shape[1] // 2
    mine = (..., slice(0, half)) if len(shape) == 4 else (slice(None), slice(0, half))
    e_p[mine] = clean[mine] + 0.1 * noise[mine]
    found = where(clean, e_p, e_0)
    expected = (2, 1, 12, 12) if len(shape) == 4 else (2, 40, 1)
    assert found.shape == expected and found.min() >= 0 and found.max() <= 1
    inner = found[..., 1 : half - 1] if len(shape) == 4 else found[:, :half]
    outer = found[..., half + 1 :] if len(shape) == 4 else found[:, half:]
    assert (inner == 1).all() and (outer == 0).all()


def test_where_both_prompts_explain_everything_nothing_is_steered():
    clean = torch.randn(1, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    assert where(clean, clean, clean).abs().max() == 0


def test_a_share_of_a_place_moves_that_place_alone():
    e_x = torch.zeros(1, 2, 2, 2)
    own = Outputs(torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 3.0))
    share = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    moved = displaced(e_x, own, share)
    assert moved.e_p is e_x
    assert torch.equal(moved.e_0, -share.expand(1, 2, 2, 2))
    assert torch.equal(moved.e_s, 2 * share.expand(1, 2, 2, 2))
