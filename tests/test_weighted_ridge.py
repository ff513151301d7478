"""The compromise: what counts how much, and that no concept and no neighbour is given up."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.concepts.concept import ResolvedConcept
from trace_erasure.concepts.stream_columns import stream_columns
from trace_erasure.math import joint_solve
from trace_erasure.math.closed_form import ridge, ridge_system
from trace_erasure.math.column_pairs import Pairs, concatenated
from trace_erasure.math.subspaces import moment_factor, unit_outputs
from trace_erasure.math.weighted_ridge import (
    ANCHORED,
    MOST_SHARING,
    ORDINARY,
    PENALTY,
    RETAINED,
    Preserved,
    reweighted,
)
from trace_erasure.pipeline.denoiser import Denoiser
from trace_erasure.pipeline.families.family import TOKENS
from trace_erasure.testing import tiny_flux
from trace_erasure.trace.gather_statistics import gram_roots, stream_statistics

WIDTH = 24


def draws(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)


def problem(seed: int, concepts: int = 4, prompts: int = 6):
    """Concepts and prompts of very different sizes, in a space too small for all of them."""
    draw = draws(seed)
    own = [
        [Pairs(draw(WIDTH, 3) * 2.0**i, draw(WIDTH, 3) * 2.0**i)] for i in range(-1, concepts - 1)
    ]
    retained = [draw(WIDTH, 2) * 1.5**i for i in range(prompts)]
    sigma = draw(WIDTH, 3 * WIDTH)
    rest = Preserved([draw(WIDTH, 2)], [draw(WIDTH, 1)], retained)
    return own, rest, sigma @ sigma.mT / WIDTH, draw(WIDTH, WIDTH)


def errors(pairs, prior, own, rest, root) -> tuple[torch.Tensor, torch.Tensor]:
    """Relative errors on every concept and every retained prompt, from the dense matrix."""
    c, s = concatenated(pairs)
    system = ridge_system(c, prior, PENALTY, ORDINARY)
    change = (s - c) @ torch.linalg.solve(system, c).mT
    size = lambda x: float((root @ x).norm())  # noqa: E731
    missed = [
        size(change @ one.concept - (one.surrogate - one.concept))
        / size(one.surrogate - one.concept)
        for (one,) in own
    ]
    return torch.tensor(missed), torch.tensor([size(change @ r) / size(r) for r in rest.retained])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_nobody_is_given_up_for_the_others(seed):
    own, rest, sigma, root = problem(seed)
    found = errors(*reweighted(own, rest, sigma, root), own, rest, root)
    equal = [pairs.scaled(1 / len(own)) for (pairs,) in own]
    _, s = concatenated(equal)
    reached, alone = rest.anchors[0], rest.alone[0]
    mean = sum(part @ part.mT for part in rest.retained) / len(rest.retained)
    prior = sigma + ANCHORED * (s @ s.mT + reached @ reached.mT)
    prior = prior + RETAINED * (mean + alone @ alone.mT)
    before = errors(equal, prior, own, rest, root)
    for now, then in zip(found, before, strict=True):
        assert now.max() / now.mean() < then.max() / then.mean()
    assert found[0].max() < before[0].max()


def test_one_concept_and_one_prompt_have_the_weights_that_are_documented():
    own, rest, sigma, root = problem(1, concepts=1, prompts=1)
    pairs, prior = reweighted(own, rest, sigma, root)
    c, s = concatenated(pairs)
    torch.testing.assert_close(c, own[0][0].concept)
    square = lambda x: x @ x.mT  # noqa: E731
    wanted = sigma + ANCHORED * (square(s) + square(rest.anchors[0]))
    wanted = wanted + RETAINED * (square(rest.alone[0]) + square(rest.retained[0]))
    torch.testing.assert_close(prior, wanted)


@pytest.mark.parametrize("count", [3, MOST_SHARING, 2 * MOST_SHARING])
def test_many_concepts_keep_the_weight_that_each_has_among_a_few(count):
    draw = draws(2)
    one = Pairs(draw(WIDTH, 2), draw(WIDTH, 2))
    pairs, _ = reweighted(
        [[one]] * count, Preserved([], [], []), torch.eye(WIDTH).double(), torch.eye(WIDTH).double()
    )
    for found in pairs:  # alike, so that nothing is left to even out
        share = 1 / min(count, MOST_SHARING)
        torch.testing.assert_close(
            found.concept @ found.concept.mT, share * one.concept @ one.concept.mT
        )


def test_a_joint_compromise_of_one_is_the_ridge_of_that_one():
    own, rest, sigma, root = problem(3, concepts=1)
    solved = joint_solve.joint_ridge(own, [joint_solve.RidgeGroup([0], rest)], sigma, root)
    pairs, prior = reweighted(own, rest, sigma, root)
    alone = ridge(*concatenated(pairs), prior, penalty=PENALTY, preserve=ORDINARY)
    torch.testing.assert_close(solved.edit.matrix(), alone.matrix())


def test_groups_are_solved_apart_and_add_up_in_the_concepts_order():
    own, rest, sigma, root = problem(3, concepts=3)
    groups = [joint_solve.RidgeGroup([0, 2], rest), joint_solve.RidgeGroup([1], rest)]
    found = joint_solve.joint_ridge(own, groups, sigma, root)
    first = joint_solve.joint_ridge(
        [own[0], own[2]], [joint_solve.RidgeGroup([0, 1], rest)], sigma, root
    )
    second = joint_solve.joint_ridge([own[1]], [joint_solve.RidgeGroup([0], rest)], sigma, root)
    eye = torch.eye(len(sigma), dtype=sigma.dtype)
    expected = first.edit.matrix() + second.edit.matrix() - eye
    torch.testing.assert_close(found.edit.matrix(), expected)
    # Strengths are by concept, whatever the groups.
    counts = [sum(pairs.count for pairs in concept) for concept in own]
    assert sum(counts) == sum(found.counts)
    strengths = [1.0 if i == 1 else 0.0 for i, c in enumerate(own) for _ in c]
    torch.testing.assert_close(found.at(strengths).matrix(), second.edit.matrix())


def test_concepts_count_alike_however_many_sentences_stand_for_them():
    denoiser, few = Denoiser(tiny_flux()), ("a {x}", "a picture of a {x}")
    root = gram_roots(denoiser)[TOKENS]
    products = []
    for templates in (few, few * 3):
        fox = stream_columns(denoiser, ResolvedConcept("fox", "horse", templates=templates))
        pairs = stream_statistics(denoiser, fox, {}, TOKENS, root).pairs
        products.append(pairs.surrogate @ pairs.concept.mT)
    torch.testing.assert_close(products[0], products[1], atol=1e-10, rtol=1e-8)


def test_a_summary_has_the_mean_and_units_have_length_one():
    draw = draws(4)
    columns, root = draw(WIDTH, 5), draw(WIDTH, WIDTH)
    whole = moment_factor(columns, root, 5)
    torch.testing.assert_close(whole @ whole.mT, columns @ columns.mT / 5)
    short = moment_factor(columns, root, 2)
    assert short.shape == (WIDTH, 2)
    most = torch.linalg.svdvals(root @ columns)[:2].square().sum() / 5
    torch.testing.assert_close((root @ short).square().sum(), most)
    torch.testing.assert_close(
        (root @ unit_outputs(columns, root)).norm(dim=0), torch.ones(5).double()
    )
