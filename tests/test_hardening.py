"""Hardening and the frontier: what holds for any numbers, and for any weights."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from trace_erasure.concepts.concept import Concept
from trace_erasure.config import ClosedFormConfig, EraseConfig, FinetuneConfig
from trace_erasure.errors import InputError
from trace_erasure.math import closed_form as algebra
from trace_erasure.math import edit_metrics, subspaces
from trace_erasure.math.adversarial_rounds import Hardening, adversarial_columns, harden
from trace_erasure.math.cost_frontier import frontier
from trace_erasure.math.objectives import mean_square
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.testing import tiny_flux, tiny_stable_diffusion
from trace_erasure.trace import finetune, hardening_search
from trace_erasure.trace.adversary import RADIUS, regenerate
from trace_erasure.trace.erase import erase

CAPTIONS = [f"a picture of a {word}" for word in ("dog", "tree", "house", "red car", "boat")]
QUICK = FinetuneConfig(
    steps=2, batch=2, rank=2, trajectories=2, retain_trajectories=2, sampler_steps=3,
    noise_level=0.6,
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def problem(d: int = 24, m: int = 5, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    spread = torch.logspace(0, -3, d, dtype=torch.float64)  # embeddings are far from isotropic
    root = draw(d, d) * spread
    return {
        "concept": root @ draw(d, m),
        "surrogate": root @ draw(d, m),
        "keep": root @ draw(d, 3),
        "second_moment": algebra.regularised(root @ root.mT, 1e-3),
        "root": subspaces.gram_root([draw(3 * d, d)]),
    }


def gram_of(p: dict[str, torch.Tensor]) -> torch.Tensor:
    return subspaces.gram([p["root"]])


def test_the_attack_is_the_least_squares_one():
    p = problem()
    edit = algebra.equality(**p, directions=2)
    found = adversarial_columns(edit, p["concept"], gram_of(p), penalty=1e-9)
    missed = edit_metrics.output_norm(edit.apply(found) - p["concept"], gram_of(p))
    moved = edit_metrics.output_norm(p["concept"] - p["surrogate"], gram_of(p))
    margin = edit_metrics.recovery_margin(edit, p["concept"], p["surrogate"], p["root"])
    assert float((missed / moved).min()) == pytest.approx(margin, rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("directions", [1, 2, None])
def test_rounds_raise_the_margin_and_break_no_promise(directions, seed):
    p = problem(seed=seed)
    edit = algebra.equality(**p, directions=directions)
    c, s, _ = algebra.leading_pairs(p["concept"], p["surrogate"], p["root"], directions)
    hard, margins = harden(edit, Hardening(**p), redirected=(c, s), rounds=4, added=1)
    assert margins == sorted(margins)
    found = edit_metrics.recovery_margin(hard, p["concept"], p["surrogate"], p["root"])
    assert found == pytest.approx(margins[-1])
    if len(margins) == 1:
        assert hard is edit
    torch.testing.assert_close(hard.apply(p["keep"]), p["keep"], atol=1e-7, rtol=1e-7)
    torch.testing.assert_close(hard.apply(c), s, atol=1e-6, rtol=1e-6)


def test_some_round_is_kept_where_there_is_room():
    gained = 0
    for seed in range(4):
        p = problem(seed=seed)
        edit = algebra.equality(**p, directions=1)
        pair = algebra.leading_pairs(p["concept"], p["surrogate"], p["root"], 1)[:2]
        _, margins = harden(edit, Hardening(**p), redirected=pair, rounds=4, added=1)
        gained += len(margins) > 1
    assert gained >= 2


def test_no_edit_beats_the_frontier():
    p = problem()
    best = frontier(p["concept"], p["surrogate"], p["second_moment"], gram_of(p))
    edits = [algebra.equality(**p, directions=k) for k in (1, 2, 3, 5, None)]
    edits.append(algebra.ridge(p["concept"], p["surrogate"], p["second_moment"]))
    for edit in edits:
        left = edit_metrics.residual(edit, p["concept"], p["surrogate"], p["root"])
        spent = edit_metrics.expected_collateral(edit, p["second_moment"], p["root"])
        assert best.cost(max(left, 1e-6)) <= spent * (1 + 1e-6)
    costs = [cost for _, cost in best.curve((0.9, 0.5, 0.1, 0.01))]
    assert costs == sorted(costs) and costs[0] > 0


def test_the_frontier_s_own_edits_are_on_it():
    p = problem()
    best = frontier(p["concept"], p["surrogate"], p["second_moment"], gram_of(p))
    c, sigma = p["concept"], p["second_moment"]
    for penalty in (1e-3, 0.1, 5.0):
        read = torch.linalg.solve(c @ c.mT + penalty * sigma, c).mT
        edit = algebra.Edit(p["surrogate"] - c, read, 0.0, 0.0)
        found = best.at(penalty)
        left = edit_metrics.residual(edit, c, p["surrogate"], p["root"])
        spent = edit_metrics.expected_collateral(edit, sigma, p["root"])
        assert found == pytest.approx((left, spent), rel=1e-6)


def test_pgd_stays_near_and_brings_the_concept_back():
    denoiser = Denoiser(tiny_stable_diffusion())
    other = denoiser.encode(["a photo of a dog"])
    shift = torch.randn(other.tokens.shape, generator=torch.Generator().manual_seed(0))
    concept = replace(other, tokens=other.tokens + 2 * shift)
    states = denoiser.initial_states([0])
    time = torch.tensor([500])
    goal = denoiser.predict(states, time, concept).detach()

    def missed(conditioning) -> float:
        return float(mean_square(denoiser.predict(states, time, conditioning) - goal).detach())

    found = regenerate(denoiser, states, time, other, goal, steps=8)
    assert missed(found) < missed(other)
    moved = (found.tokens - other.tokens).norm(dim=-1)
    assert (moved <= RADIUS * other.tokens.norm(dim=-1) * (1 + 1e-5)).all()
    assert not found.tokens.requires_grad


@pytest.mark.slow
def test_each_level_gives_another_erasure(monkeypatch):
    monkeypatch.setattr(finetune, "regenerate", partial(regenerate, steps=10))
    monkeypatch.setattr(hardening_search, "GENERATIONS", 5)

    def names(**options) -> str:
        options = {"finetune": QUICK, "surrogate": "dog", "captions": CAPTIONS, **options}
        return erase(tiny_flux(), "fox", **options).name

    off = names()
    assert off == names(hardening="off")
    assert names(hardening="adversarial") not in (off, names(hardening="closed_form"))


def test_levels_that_cannot_be_are_refused():
    concept = (Concept("fox"),)
    with pytest.raises(InputError, match="off, closed_form, adversarial"):
        EraseConfig(concept, hardening="strong")
    with pytest.raises(InputError, match="Keep closed_form"):
        EraseConfig(concept, closed_form=None, finetune=QUICK, hardening="adversarial")
    with pytest.raises(InputError, match="only 'equality'"):
        erase(
            tiny_stable_diffusion(), "fox", surrogate="dog", captions=CAPTIONS, finetune=None,
            closed_form=ClosedFormConfig(mode="ridge"), hardening="closed_form",
        )  # fmt: skip
