"""The theorems of stage 1, on random instances in float64."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.math import closed_form as algebra
from trace_erasure.math import edit_metrics, subspaces


class Instance:
    """Random maps, ordinary embeddings, a concept, its surrogate and columns to keep."""

    def __init__(self, seed: int, width: int, columns: int, kept: int, maps: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
        self.weights = [draw(width + 3, width) for _ in range(maps)]
        self.gram = subspaces.gram(self.weights)
        self.root = subspaces.gram_root(self.weights)
        ordinary = draw(width, 4 * width)
        self.sigma = algebra.regularised(ordinary @ ordinary.mT / (4 * width), 1e-3)
        self.c, self.s, self.keep = draw(width, columns), draw(width, columns), draw(width, kept)

    def solve(self, directions: int | None = None) -> algebra.Edit:
        return algebra.equality(
            self.c, self.s, self.keep, self.sigma, self.root, directions=directions
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
    assert edit_metrics.recovery_margin(edit, x.c, x.s, x.root) > 0


@settings(max_examples=30, deadline=None)
@given(instances, st.integers(0, 1000))
def test_no_other_feasible_edit_costs_less_on_ordinary_prompts(x: Instance, seed: int) -> None:
    """Any change that leaves the constraints alone makes the expected collateral larger."""
    edit = x.solve()
    best = edit_metrics.expected_collateral(edit, x.sigma, x.root)
    constraints = torch.cat([x.c, x.s, x.keep], dim=1)
    basis = subspaces.span(constraints)
    generator = torch.Generator().manual_seed(seed)
    width = len(x.sigma)
    free = torch.randn(1, width, generator=generator, dtype=torch.float64)
    free = free - (free @ basis) @ basis.mT
    extra = 1e-2 * torch.randn(width, 1, generator=generator, dtype=torch.float64)
    other = algebra.Edit(torch.cat([edit.shift, extra], 1), torch.cat([edit.read, free]), 0.0, 0.0)
    torch.testing.assert_close(other.apply(x.c), x.s, atol=1e-8, rtol=0)
    assert edit_metrics.expected_collateral(other, x.sigma, x.root) >= best


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
        edit_metrics.EditOutputs(edit, x.root).collateral(probe), expected, atol=1e-6, rtol=1e-6
    )


def test_truncation_reports_the_energy_that_it_discards() -> None:
    x = Instance(0, 24, 4, 3, 2)
    difference = torch.cat(x.weights) @ (x.s - x.c)
    energy = torch.linalg.svdvals(difference).square()
    edit = x.solve(2)
    assert edit.discarded == pytest.approx(float(energy[2:].sum() / energy.sum()), rel=1e-6)
    assert (
        edit_metrics.residual(x.solve(), x.c, x.s, x.root)
        < 1e-9
        < edit_metrics.residual(edit, x.c, x.s, x.root)
    )


def test_ridge_equals_the_dense_normal_equations() -> None:
    x = Instance(1, 20, 3, 0, 2)
    edit = algebra.ridge(x.c, x.s, x.sigma, penalty=0.1, preserve=0.5)
    scale = x.sigma.diagonal().mean()
    eye = torch.eye(20, dtype=torch.float64)
    for w in x.weights:
        left = w @ x.s @ x.c.mT + 0.5 * w @ x.sigma + 0.1 * scale * w
        dense = left @ torch.linalg.inv(x.c @ x.c.mT + 0.5 * x.sigma + 0.1 * scale * eye)
        torch.testing.assert_close(w + edit.change(w).dense(), dense, atol=1e-8, rtol=0)


@settings(max_examples=40, deadline=None)
@given(instances, st.integers(1, 3), st.integers(0, 10_000))
def test_no_edit_of_the_same_rank_serves_the_objective_better(x: Instance, k: int, seed: int):
    """Reduced-rank ridge against the unlimited solution, and against its neighbours."""
    how: dict[str, Any] = {"penalty": 0.1, "preserve": 0.5}
    scale, eye = x.sigma.diagonal().mean(), torch.eye(len(x.sigma), dtype=torch.float64)

    def cost(change: torch.Tensor) -> float:
        m, total = eye + change, 0.0
        for w in x.weights:
            moved = w @ change
            total += float((w @ m @ x.c - w @ x.s).square().sum() + 0.1 * scale * moved.norm() ** 2)
            total += 0.5 * float((moved @ x.sigma * moved).sum())
        return total

    best = algebra.ridge(x.c, x.s, x.sigma, **how, root=x.root, directions=k)
    assert best.rank == min(k, x.c.shape[1])
    found = cost(best.shift @ best.read)
    whole = algebra.ridge(x.c, x.s, x.sigma, **how)
    assert cost(whole.shift @ whole.read) <= found * (1 + 1e-9)
    if k >= x.c.shape[1]:
        torch.testing.assert_close(best.matrix(), whole.matrix(), atol=1e-7, rtol=0)
    # The optimum for one factor given the other is a stationary point: no step improves on it.
    generator = torch.Generator().manual_seed(seed)
    for size in (1e-3, 1e-1, 1.0):
        for shift, read in ((size, 0.0), (0.0, size), (size, size)):
            step = [
                torch.randn(f.shape, generator=generator).double() for f in (best.shift, best.read)
            ]
            other = (best.shift + shift * step[0]) @ (best.read + read * step[1])
            assert cost(other) >= found * (1 - 1e-9)
    assert best.discarded == pytest.approx(_left_out(x, whole, k), abs=1e-8)


def _left_out(x: Instance, whole: algebra.Edit, k: int) -> float:
    scale, eye = x.sigma.diagonal().mean(), torch.eye(len(x.sigma), dtype=torch.float64)
    factor = torch.linalg.cholesky(x.c @ x.c.mT + 0.5 * x.sigma + 0.1 * scale * eye)
    energy = torch.linalg.svdvals(x.root @ whole.shift @ whole.read @ factor).square()
    return float(energy[k:].sum() / energy.sum())


def test_null_space_mode_never_touches_what_is_kept() -> None:
    x = Instance(2, 24, 3, 5, 2)
    free = algebra.ridge(x.c, x.s, x.sigma)
    edit = algebra.null_space(free, x.keep)
    torch.testing.assert_close(edit.apply(x.keep), x.keep, atol=1e-10, rtol=0)
    assert not torch.allclose(free.apply(x.keep), x.keep, atol=1e-6)


def test_the_same_concept_and_surrogate_is_refused() -> None:
    x = Instance(3, 16, 2, 1, 1)
    with pytest.raises(ValueError, match="nothing to edit"):
        algebra.equality(x.c, x.c, x.keep, x.sigma, x.root)


@pytest.mark.parametrize("rows", [(7,), (5, 30), (40, 40)])
def test_any_root_serves_where_the_symmetric_one_did(rows: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(n, 24, generator=generator, dtype=torch.float64) for n in rows]
    gram, root = subspaces.gram(weights), subspaces.gram_root(weights)
    torch.testing.assert_close(gram, sum(w.mT @ w for w in weights))
    torch.testing.assert_close(root.mT @ root, gram)
    assert len(root) == min(sum(rows), 24)
    square = root @ root.mT
    torch.testing.assert_close(square, square.diagonal().diag(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_leading_singular_vectors_are_those_of_the_whole_decomposition(shape) -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.logspace(0, -5, shape[1], dtype=torch.float64)
    matrix = torch.randn(*shape, generator=generator, dtype=torch.float64) * spread
    s, vh = subspaces.leading_svd(matrix, 5)
    _, values, vectors = torch.linalg.svd(matrix, full_matrices=False)
    torch.testing.assert_close(s, values[:5])
    torch.testing.assert_close(vh.mT @ vh, vectors[:5].mT @ vectors[:5], atol=1e-8, rtol=0)
    twice = torch.cat([matrix[:, :2], matrix[:, :2]], dim=1)
    assert len(subspaces.leading_svd(twice, 4)[0]) == 2


@settings(max_examples=30, deadline=None)
@given(instances, st.sampled_from([None, 1, 2]))
def test_the_margin_is_the_distance_to_everything_that_the_edited_maps_can_say(x, k) -> None:
    for edit in (
        x.solve(k),
        algebra.null_space(x.solve(k), x.keep),
        algebra.ridge(x.c, x.s, x.sigma),
    ):
        said = subspaces.span(x.root @ edit.matrix())
        goal = x.root @ x.c
        missed = (goal - said @ (said.mT @ goal)).norm(dim=0)
        margin = (missed / (x.root @ (x.c - x.s)).norm(dim=0)).min()
        found = edit_metrics.recovery_margin(edit, x.c, x.s, x.root)
        assert found == pytest.approx(float(margin), abs=1e-7)


def test_maps_that_lose_no_output_leave_no_margin() -> None:
    """Fewer outputs than inputs, as in SD 3: some embedding gives any output at all."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    root, c, s = subspaces.gram_root([draw(10, 24)]), draw(24, 3), draw(24, 3)
    edit = algebra.equality(c, s, c[:, :0], torch.eye(24, dtype=torch.float64), root)
    assert edit_metrics.recovery_margin(edit, c, s, root) == 0
