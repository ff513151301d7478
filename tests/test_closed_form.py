"""The theorems of stage 1, on random instances in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.math import closed_form as algebra


class Instance:
    """Random maps, ordinary embeddings, a concept, its surrogate and columns to keep."""

    def __init__(self, seed: int, width: int, columns: int, kept: int, maps: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        self.weights = [draw(width + 3, width) for _ in range(maps)]
        self.gram = algebra.gram(self.weights)
        ordinary = draw(width, 4 * width)
        self.sigma = algebra.regularised(ordinary @ ordinary.mT / (4 * width), 1e-3)
        self.c, self.s, self.keep = draw(width, columns), draw(width, columns), draw(width, kept)

    def solve(self, directions: int | None = None) -> algebra.Edit:
        return algebra.equality(
            self.c, self.s, self.keep, self.sigma, self.gram, directions=directions
        )


instances = st.builds(
    Instance,
    seed=st.integers(0, 10_000),
    width=st.integers(16, 40),
    columns=st.integers(1, 4),
    kept=st.integers(0, 5),
    maps=st.integers(1, 3),
)


@settings(max_examples=40, deadline=None)
@given(instances)
def test_untruncated_equality_redirects_exactly_and_keeps_the_rest(x: Instance) -> None:
    edit = x.solve()
    torch.testing.assert_close(edit.apply(x.c), x.s, atol=1e-8, rtol=0)
    torch.testing.assert_close(edit.apply(x.s), x.s, atol=1e-8, rtol=0)
    torch.testing.assert_close(edit.apply(x.keep), x.keep, atol=1e-8, rtol=0)
    for weight in x.weights:
        changed = weight + edit.change(weight).dense()
        torch.testing.assert_close(changed @ x.c, weight @ x.s, atol=1e-7, rtol=0)


@settings(max_examples=40, deadline=None)
@given(instances, st.sampled_from([None, 1, 2]))
def test_m_is_a_projector_of_low_rank_with_a_positive_margin(x: Instance, k: int | None) -> None:
    edit = x.solve(k)
    m = edit.matrix()
    torch.testing.assert_close(m @ m, m, atol=1e-8, rtol=0)
    assert edit.rank <= (x.c.shape[1] if k is None else k)
    assert torch.linalg.matrix_rank(m - torch.eye(len(m)), atol=1e-8) == edit.rank
    torch.testing.assert_close(m @ edit.shift, torch.zeros_like(edit.shift), atol=1e-7, rtol=0)
    assert algebra.recovery_margin(edit, x.c, x.s, x.gram) > 0


@settings(max_examples=30, deadline=None)
@given(instances, st.integers(0, 1000))
def test_no_other_feasible_edit_costs_less_on_ordinary_prompts(x: Instance, seed: int) -> None:
    """Any change that leaves the constraints alone makes the expected collateral larger."""
    edit = x.solve()
    best = algebra.expected_collateral(edit, x.sigma, x.gram)
    constraints = torch.cat([x.c, x.s, x.keep], dim=1)
    basis = algebra.leading(constraints)
    generator = torch.Generator().manual_seed(seed)
    width = len(x.sigma)
    free = torch.randn(1, width, generator=generator, dtype=torch.float64)
    free = free - (free @ basis) @ basis.mT
    extra = 1e-2 * torch.randn(width, 1, generator=generator, dtype=torch.float64)
    other = algebra.Edit(torch.cat([edit.shift, extra], 1), torch.cat([edit.read, free]), 0.0, 0.0)
    torch.testing.assert_close(other.apply(x.c), x.s, atol=1e-8, rtol=0)
    assert algebra.expected_collateral(other, x.sigma, x.gram) >= best


@settings(max_examples=30, deadline=None)
@given(instances)
def test_repeated_columns_change_nothing(x: Instance) -> None:
    once = x.solve().matrix()
    x.c, x.s = torch.cat([x.c, x.c], 1), torch.cat([x.s, x.s], 1)
    torch.testing.assert_close(x.solve().matrix(), once, atol=1e-7, rtol=0)


@settings(max_examples=30, deadline=None)
@given(instances)
def test_collateral_is_the_relative_change_of_the_stacked_output(x: Instance) -> None:
    edit = x.solve(1)
    stacked = torch.cat(x.weights)
    probe = x.keep if x.keep.shape[1] else x.s
    change = stacked @ (edit.matrix() - torch.eye(len(x.sigma))) @ probe
    expected = change.norm(dim=0) / (stacked @ probe).norm(dim=0)
    torch.testing.assert_close(
        algebra.collateral(edit, probe, x.gram), expected, atol=1e-6, rtol=1e-6
    )


def test_truncation_reports_the_energy_that_it_discards() -> None:
    x = Instance(0, 24, 4, 3, 2)
    difference = torch.cat(x.weights) @ (x.s - x.c)
    energy = torch.linalg.svdvals(difference).square()
    edit = x.solve(2)
    assert edit.discarded == pytest.approx(float(energy[2:].sum() / energy.sum()), rel=1e-6)
    assert (
        algebra.residual(x.solve(), x.c, x.s, x.gram)
        < 1e-9
        < algebra.residual(edit, x.c, x.s, x.gram)
    )


def test_ridge_equals_the_dense_normal_equations() -> None:
    x = Instance(1, 20, 3, 0, 2)
    edit = algebra.ridge(x.c, x.s, x.sigma, x.gram, penalty=0.1, preserve=0.5)
    scale = x.sigma.diagonal().mean()
    eye = torch.eye(20, dtype=torch.float64)
    for w in x.weights:
        left = w @ x.s @ x.c.mT + 0.5 * w @ x.sigma + 0.1 * scale * w
        dense = left @ torch.linalg.inv(x.c @ x.c.mT + 0.5 * x.sigma + 0.1 * scale * eye)
        torch.testing.assert_close(w + edit.change(w).dense(), dense, atol=1e-8, rtol=0)


def test_null_space_mode_never_touches_what_is_kept() -> None:
    x = Instance(2, 24, 3, 5, 2)
    free = algebra.ridge(x.c, x.s, x.sigma, x.gram)
    edit = algebra.null_space(free, x.keep)
    torch.testing.assert_close(edit.apply(x.keep), x.keep, atol=1e-10, rtol=0)
    assert not torch.allclose(free.apply(x.keep), x.keep, atol=1e-6)


def test_the_same_concept_and_surrogate_is_refused() -> None:
    x = Instance(3, 16, 2, 1, 1)
    with pytest.raises(ValueError, match="nothing to edit"):
        algebra.equality(x.c, x.c, x.keep, x.sigma, x.gram)
