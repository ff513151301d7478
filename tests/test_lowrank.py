"""Low-rank matrices against their dense products."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trace_erasure.math.lowrank import LowRank, add, scaled

sizes = st.integers(1, 7)
seeds = st.integers(0, 2**32)
quick = settings(deadline=None, max_examples=40)


def low_rank(rank: int, rows: int, columns: int, seed: int) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    return LowRank(
        torch.randn(rank, columns, generator=generator, dtype=torch.float64),
        torch.randn(rows, rank, generator=generator, dtype=torch.float64),
    )


@quick
@given(sizes, sizes, sizes, sizes, seeds)
def test_cat_is_the_sum(first, second, rows, columns, seed):
    a, b = low_rank(first, rows, columns, seed), low_rank(second, rows, columns, seed + 1)
    both = a.cat(b)
    assert both.rank == first + second
    torch.testing.assert_close(both.dense(), a.dense() + b.dense())


@quick
@given(sizes, sizes, sizes, st.integers(0, 5), seeds)
def test_padding_keeps_the_matrix(rank, rows, columns, extra, seed):
    change = low_rank(rank, rows, columns, seed)
    padded = change.pad(rank + extra)
    assert padded.rank == rank + extra
    torch.testing.assert_close(padded.dense(), change.dense())


def check_truncation(change: LowRank, kept: int) -> None:
    """Eckart-Young: the error of the best approximation is the tail of the singular values."""
    dense = change.dense()
    truncated, lost = change.truncate(kept)
    singular = torch.linalg.svdvals(dense)
    tail = singular[kept:].square().sum()
    assert truncated.rank <= kept
    error = (truncated.dense() - dense).square().sum()
    torch.testing.assert_close(error, tail, rtol=1e-9, atol=1e-18)
    assert lost == pytest.approx(float(tail / singular.square().sum()), rel=1e-9, abs=1e-18)


@quick
@given(st.integers(1, 4), st.integers(4, 7), st.integers(4, 7), st.integers(0, 4), seeds)
def test_truncation_is_the_best_approximation(rank, rows, columns, kept, seed):
    check_truncation(low_rank(rank, rows, columns, seed), kept)


@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 2)])
def test_truncation_of_a_rank_beyond_a_side(rows, columns):
    check_truncation(low_rank(5, rows, columns, 0), 1)
    check_truncation(low_rank(5, rows, columns, 0), 3)


@quick
@given(sizes, sizes, sizes, seeds)
def test_norm_is_the_frobenius_norm(rank, rows, columns, seed):
    change = low_rank(rank, rows, columns, seed)
    torch.testing.assert_close(change.norm(), torch.linalg.matrix_norm(change.dense()))


@quick
@given(sizes, sizes, sizes, st.floats(-3, 3), seeds)
def test_scaling(rank, rows, columns, factor, seed):
    change = low_rank(rank, rows, columns, seed)
    torch.testing.assert_close(change.scale(factor).dense(), factor * change.dense())
    torch.testing.assert_close(scaled({"m": change}, factor)["m"].dense(), factor * change.dense())


def test_deltas_add_module_by_module():
    a, b, c = (low_rank(2, 3, 4, seed) for seed in range(3))
    total = add([{"x": a}, {"y": b}, {"x": c}])
    assert list(total) == ["x", "y"]
    torch.testing.assert_close(total["x"].dense(), a.dense() + c.dense())
    torch.testing.assert_close(total["y"].dense(), b.dense())


def test_what_does_not_fit_is_refused():
    a = low_rank(2, 3, 4, 0)
    with pytest.raises(ValueError, match="do not chain"):
        LowRank(a.down, a.up[:, :1])
    with pytest.raises(ValueError, match="cannot add"):
        a.cat(low_rank(2, 4, 4, 0))
    with pytest.raises(ValueError, match="use truncate"):
        a.pad(1)
